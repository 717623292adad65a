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
    happens: "The secret changes half a second late.",
    answer: "One log-in is refused; then ten waiting statements succeed.",
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
    happens: "The server refuses the old account.",
    answer: "It reads the secret again, and succeeds.",
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
    happens: "The server requests the password, encrypted with its key.",
    answer: "The first log-in sends the password, the second one a hash.",
    fake: { delivery: "bytes" },
    needs: ["known statements"],
    steps: [init, invoke("quick"), dropConnections, wait(50), invoke("quick")],
    invocations: ["ok", "ok"],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "MySQL 8.4 over TLS",
    happens: "The server requests the password over TLS.",
    answer: "It logs in, and cancels a statement over TLS.",
    fake: { delivery: "packets" },
    trusts: "authority",
    needs: ["slow event", "DB_AUTH, DB_TLS", "known statements"],
    steps: [init, invoke("quick"), begin("slow"), statementRuns],
    invocations: ["ok", "any"],
    line: { hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "IAM token",
    happens: "The server requests a password in clear text: the token.",
    answer: "It sends the token over verified TLS only, and a new one to cancel.",
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
