import type { Login } from "../mysql/server";
import type { Relay } from "../mysql/relay";
import { findServerProgram, startThrowawayServer, type ThrowawayServer } from "../mysql/throwaway-server";
import { FakeMysql, type Certificates } from "#fake-mysql";
import { droppedPackets, silentServer, type BlackHole } from "../mysql/black-hole";
import { freePort } from "../processes/free-port";
import type { Fault } from "./fault";

export async function startServer(
  certificates: Certificates,
  certificate: NonNullable<Fault["ownServer"]>["certificate"] = "right name",
): Promise<ThrowawayServer> {
  const program = await findServerProgram("mariadbd");
  if (program === undefined) throw new Error("the faults need a real server: install mariadb-server-core");
  const { rightName, wrongName, nameOnly, addressOnly } = certificates;
  const shown = {
    ...{ "right name": rightName, "wrong name": wrongName },
    ...{ "name only": nameOnly, "address only": addressOnly },
  }[certificate];
  return startThrowawayServer(program, { certificate: shown });
}

export async function fakeServer({ fake, trusts }: Fault, { rightName }: Certificates): Promise<FakeMysql | undefined> {
  if (fake === undefined) return undefined;
  return FakeMysql.start({ ...fake, ...(trusts === undefined ? {} : { certificate: rightName }) });
}

/** What the function finds at the server's address. */
export async function targetOf({ target }: Pick<Fault, "target">, relay: Pick<Relay, "port">): Promise<BlackHole> {
  switch (target ?? "server") {
    case "server":
      return { port: relay.port, close: () => Promise.resolve() };
    case "nobody":
      return { port: await freePort(), close: () => Promise.resolve() };
    case "dropped packets":
      return droppedPackets();
    case "silent server":
      return silentServer();
  }
}

export function loginOf(server: ThrowawayServer | FakeMysql): Login {
  const { host, port, database } = server;
  return "account" in server
    ? { host, port, database, user: server.account.user, password: server.account.password }
    : { host, port, database, user: server.user, password: server.password };
}

/** The row that the function locks, and the table that it writes to. */
export async function createTables(server: ThrowawayServer): Promise<void> {
  await server.administer("CREATE TABLE IF NOT EXISTS lab.account (id INT PRIMARY KEY, balance INT) ENGINE=InnoDB");
  await server.administer("INSERT IGNORE INTO lab.account VALUES (1, 0)");
  await server.administer("CREATE TABLE IF NOT EXISTS lab.ledger (entry VARCHAR(40)) ENGINE=InnoDB");
  await server.administer("DELETE FROM lab.ledger");
}
