import { ONE_CANCELLED, ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import { begin, dropConnections, init, invoke, statementRuns, wait } from "./steps";

/** Rows about ways to log in that MySQL 8.4 has and the lab's MariaDB has not. */
export const LOGIN_FAULTS: readonly Fault[] = [
  {
    name: "MySQL 8.4, no TLS",
    happens:
      "The server asks for the password, encrypted with its key, and answers byte by byte; then it ends the connection.",
    answer: "The first log-in sends the password, the second one a hash.",
    misbehaving: { delivery: "bytes" },
    needs: ["known statements"],
    steps: [init, invoke("quick"), dropConnections, wait(50), invoke("quick")],
    invocations: ["ok", "ok"],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "MySQL 8.4 over TLS",
    happens: "The server asks for the password itself, over TLS, and sends each packet by itself.",
    answer: "The function understands the log-in and the answers, and cancels a statement over TLS.",
    misbehaving: { delivery: "packets" },
    trusts: "authority",
    needs: ["slow event", "DB_AUTH, DB_TLS", "known statements"],
    steps: [init, invoke("quick"), begin("slow"), statementRuns],
    invocations: ["ok", "any"],
    line: { hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "IAM token",
    happens: "The server switches to a password in clear text, which is an IAM token; a statement runs at the SIGTERM.",
    answer:
      "The token goes over verified TLS only. A new one, which needs no request, opens the connection that cancels.",
    misbehaving: {
      ...{ plugin: "mysql_clear_password", greetingPlugin: "caching_sha2_password" },
      token: /^localhost:\d+\/\?.*DBUser=lab.*X-Amz-Signature=[0-9a-f]{64}/,
    },
    trusts: "authority",
    environment: { DB_AUTH: "iam" },
    needs: ["slow event", "DB_AUTH, DB_TLS", "known statements"],
    steps: [init, invoke("quick"), begin("slow"), statementRuns],
    invocations: ["ok", "any"],
    line: { hooks: { mysql: ONE_CANCELLED } },
  },
];
