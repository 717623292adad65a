import { FakeMysql, type ServerCertificate } from "#fake-mysql";
import type { DatabaseServer } from "./server";

/**
 * The lab's server where there is none, or where none takes IAM tokens, which MariaDB and MySQL do only with RDS's
 * plugin. A fake: it has no tables and no `wait_timeout`, and checks no signature.
 *
 * @param certificate of a server for IAM tokens
 */
export async function startFakeDatabaseServer(certificate?: ServerCertificate): Promise<DatabaseServer> {
  const token = /^[^/]+\/\?Action=connect&.*&X-Amz-Signature=[0-9a-f]{64}$/;
  const server = await FakeMysql.start(
    certificate === undefined
      ? // The relay ends the function's TLS. Under caching_sha2_password the client would then send its password in clear.
        { plugin: "mysql_native_password" }
      : { plugin: "mysql_clear_password", certificate, token },
  );
  const { host, port, database, account } = server;
  return {
    ...{ host, port, database, user: account.user, password: account.password },
    kind: "fake",
    description: `fake: the lab's half of MySQL's protocol, which has no tables${certificate ? " and takes IAM tokens" : ""}`,
    pid: undefined,
    heldThreads: (ids) => {
      const open = server.openSessions.map(({ connectionId }) => connectionId);
      return Promise.resolve(new Set(ids.filter((id) => open.includes(id))));
    },
    // As on a real server, what never logged in is no aborted client: there it counts as Aborted_connects.
    abortedClients: () => {
      const aborted = server.sessions.filter(
        ({ loggedIn, isOpen, quit, endedBy }) => loggedIn && !isOpen && !quit && endedBy === "client",
      );
      return Promise.resolve(aborted.length);
    },
    stop: () => server.close(),
  };
}
