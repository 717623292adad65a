import { logsNo } from "./checks";
import { NONE, ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import { init, invoke, passwords, secretsManager, secretString } from "./steps";

const ARN = /arn:aws:secretsmanager:/;
const IDLE = { hooks: { mysql: ONE_CLOSED } } as const;
const NEVER_CONNECTED = { hooks: { mysql: NONE } } as const;
/** Less than the function's timeout, so that its caller gets an answer of the function's own. */
const TIME = { timeoutMs: 6_000, withinMs: 5_500 } as const;

/** Rows in which the log-in cannot be had, or something confidential would be told. */
export const SECRET_FAULTS: readonly Fault[] = [
  {
    name: "secret of another form",
    happens: "It is text, broken JSON, null, or lacks a field.",
    answer: "The error names the ARN, and shows no content.",
    environment: { DB_AUTH: "secret" },
    needs: ["DB_AUTH, DB_TLS", "AWS SDK"],
    steps: [
      ...[secretString("plainS3cret"), init, invoke("quick")],
      ...[secretString('{"username":"lab","password":"br0kenS3cret'), invoke("quick")],
      ...[secretString("null"), invoke("quick")],
      ...[secretString('{"username":"lab","passphrase":"0therS3cret"}'), invoke("quick")],
    ],
    invocations: [ARN, ARN, ARN, ARN],
    confidential: ["plainS3cret", "br0kenS3cret", "0therS3cret", "plainS3", "br0kenS3", "0therS3"],
    line: NEVER_CONNECTED,
  },
  {
    name: "statement fails with its values",
    happens: "It has a card number, or 100 kB of SQL.",
    answer: "Log and error have only an excerpt of the SQL.",
    needs: ["the faults' events"],
    steps: [
      ...[init, invoke({ sql: "INSERT INTO lab.missing VALUES (?)", values: ["4111-1111-1111-1111"] })],
      invoke({ sql: `INSERT INTO lab.missing VALUES ('${"y".repeat(100_000)}')` }),
    ],
    invocations: [/missing/, /missing/],
    confidential: ["4111-1111-1111-1111"],
    line: IDLE,
    afterwards: [logsNo(/y{5000}/)],
  },
  {
    name: "Secrets Manager silent",
    happens: "The VPC has no endpoint for it.",
    answer: "The invocation fails in time and says so.",
    environment: { DB_AUTH: "secret", DB_CONNECT_TIMEOUT_MS: "2000" },
    needs: ["DB_AUTH, DB_TLS", "AWS SDK"],
    steps: [secretsManager("silent"), init, invoke("quick")],
    ...TIME,
    invocations: [/DatabaseUnreachableError.*(secret|Secrets Manager)/i],
    line: NEVER_CONNECTED,
  },
  {
    name: "Secrets Manager refuses connections",
    happens: "Nothing listens at its address; later it does.",
    answer: "One invocation fails in time, the next succeeds.",
    environment: { DB_AUTH: "secret" },
    needs: ["DB_AUTH, DB_TLS", "AWS SDK"],
    ownServer: { certificate: "right name" },
    steps: [
      ...[passwords("first", "first"), secretsManager("refused"), init, invoke("quick")],
      ...[secretsManager("well"), invoke("quick")],
    ],
    ...TIME,
    invocations: [/DatabaseUnreachableError.*(secret|Secrets Manager)/i, "ok"],
    line: IDLE,
  },
  {
    name: "Secrets Manager throttles",
    happens: "It has too many requests.",
    answer: "The invocation fails in time and says so.",
    environment: { DB_AUTH: "secret", DB_CONNECT_TIMEOUT_MS: "2000" },
    needs: ["DB_AUTH, DB_TLS", "AWS SDK"],
    steps: [secretsManager("throttled"), init, invoke("quick")],
    ...TIME,
    invocations: [/DatabaseUnreachableError.*(secret|Secrets Manager).*(Throttling|Rate exceeded)/is],
    line: NEVER_CONNECTED,
  },
];
