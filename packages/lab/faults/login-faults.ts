import { refuseAndEnd } from "#fake-mysql";
import { connectsAtMost } from "./checks";
import { ONE_CANCELLED, ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import {
  begin,
  dropConnections,
  init,
  invoke,
  passwordAtServer,
  passwordInSecret,
  script,
  statementRuns,
  wait,
} from "./steps";

/** Rows in which the secret changes later than the account. */
const LATE_SECRETS: readonly Fault[] = [
  {
    name: "rotation window",
    happens:
      "For half a second the server has the next password, and the secret still the last one; ten statements wait.",
    answer: "One log-in is refused. The function reads the secret until it has another password, and all succeed.",
    environment: { DB_AUTH: "secret", FAULT_OPEN: "never" },
    fake: {},
    needs: ["DB_AUTH, DB_TLS", "AWS SDK", "the faults' events"],
    steps: [
      ...[passwordAtServer("second"), init, begin({ parallel: 10 })],
      ...[wait(500), passwordInSecret("second"), wait(3_000)],
    ],
    invocations: ["ok"],
    afterwards: [connectsAtMost(2)],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  ...([1044, 1130, 1862, 3118, 3955, 4150, 4151] as const).map((code): Fault => ({
    name: `log-in refused (${code}) until the secret changes`,
    happens: `After a rotation the server refuses the account with error ${code}, and the secret names another later.`,
    answer: "The function reads the secret again, and the invocation succeeds after one refused log-in.",
    environment: { DB_AUTH: "secret", FAULT_OPEN: "never" },
    fake: {},
    needs: ["DB_AUTH, DB_TLS", "AWS SDK", "the faults' events"],
    // Nothing in it depends on the extension.
    extensions: ["external"],
    steps: [
      script((half) => ({ login: () => (half.logIns.length === 1 ? refuseAndEnd(code) : undefined) })),
      ...[init, begin("quick"), wait(300), passwordAtServer("second"), passwordInSecret("second"), wait(2_000)],
    ],
    invocations: ["ok"],
    afterwards: [connectsAtMost(2)],
    line: { hooks: { mysql: ONE_CLOSED } },
  })),
];

/** Rows about ways to log in that MySQL 8.4 has and the lab's MariaDB has not. */
export const LOGIN_FAULTS: readonly Fault[] = [
  {
    name: "MySQL 8.4, no TLS",
    happens:
      "The server asks for the password, encrypted with its key, and answers byte by byte; then it ends the connection.",
    answer: "The first log-in sends the password, the second one a hash.",
    fake: { delivery: "bytes" },
    needs: ["known statements"],
    steps: [init, invoke("quick"), dropConnections, wait(50), invoke("quick")],
    invocations: ["ok", "ok"],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "MySQL 8.4 over TLS",
    happens: "The server asks for the password itself, over TLS, and sends each packet by itself.",
    answer: "The function understands the log-in and the answers, and cancels a statement over TLS.",
    fake: { delivery: "packets" },
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
    fake: {
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
  ...LATE_SECRETS,
];
