import type { ServerCertificate } from "./certificates";
import { MisbehavingServer } from "./misbehaving-server";
import type { DatabaseServer } from "./server";

/**
 * A server for IAM tokens, which neither MariaDB nor MySQL takes without RDS's plugin. A mock: the lab's half of MySQL's
 * protocol. It takes any token of the right form and checks no signature.
 */
export async function startIamServer(certificate: ServerCertificate): Promise<DatabaseServer> {
  const server = await MisbehavingServer.start({
    plugin: "mysql_clear_password",
    certificate,
    token: /^[^/]+\/\?Action=connect&.*&X-Amz-Signature=[0-9a-f]{64}$/,
  });
  const { host, port, database, account } = server;
  const aborted = (): number =>
    server.sessions.filter(
      ({ loggedIn, isOpen, quit, endedBy }) => loggedIn && !isOpen && !quit && endedBy === "client",
    ).length;
  return {
    ...{ host, port, database, user: account.user, password: account.password },
    kind: "stand-in",
    description: "stand-in: the lab's half of MySQL's protocol, which takes IAM tokens",
    pid: undefined,
    heldThreads: (ids) => {
      const open = server.openSessions.map(({ connectionId }) => connectionId);
      return Promise.resolve(new Set(ids.filter((id) => open.includes(id))));
    },
    abortedClients: () => Promise.resolve(aborted()),
    stop: () => server.close(),
  };
}
