import { nobodyElseWasKilled } from "./checks";
import { mysql, ONE_CANCELLED, ONE_GIVEN_UP, TERMINATED } from "./expected";
import type { Fault } from "./fault";
import {
  begin,
  changePassword,
  init,
  passwords,
  secretsManager,
  server,
  statementRuns,
  statementsRun,
  wait,
} from "./steps";

const STATEMENT = [init, begin("slow"), statementRuns] as const;
const STAYS = "the statement, until it ends by itself";

const DIGITS = `(${Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS digit`).join(" UNION ALL ")})`;
export const MILLION_ROWS = `SELECT REPEAT('x', 100) AS text FROM ${["a", "b", "c", "d", "e", "f"].map((name) => `${DIGITS} ${name}`).join(", ")}`;

/** Rows in which a running statement cannot be cancelled, or may not be. */
export const CANCEL_FAULTS: readonly Fault[] = [
  {
    name: "large result at SIGTERM",
    happens: "The server sends a result of a million rows when the environment is taken away.",
    answer: "The function reads no more rows, and cancels the statement at once.",
    needs: ["the faults' events"],
    steps: [init, begin({ sql: MILLION_ROWS }), statementRuns, wait(100)],
    invocations: [TERMINATED],
    line: { hooks: { mysql: { result: "done", givenUp: 0 } } },
  },
  {
    name: "pool of 32, all busy",
    happens: "32 statements run side by side, each on its connection, when the environment is taken away.",
    answer: "All are cancelled at once, over one second connection.",
    environment: { POOL_SIZE: "32" },
    needs: ["the faults' events"],
    steps: [init, begin({ busy: 32 }), statementsRun(32)],
    invocations: [TERMINATED],
    line: { hooks: { mysql: mysql(0, 32, 0) } },
  },
  {
    name: "handler that catches errors and loops",
    happens: "A handler runs statements in a loop without an end, and catches their errors, when the SIGTERM comes.",
    answer: "Statements are refused a little later each, so that the connection is closed and the line written.",
    needs: ["the faults' events"],
    steps: [init, begin({ loop: true }), wait(200)],
    invocations: ["any"],
    line: { hooks: { mysql: { result: "done", givenUp: 0 } } },
  },
  {
    name: "two servers behind one name",
    happens:
      "A reader endpoint sends the connection that cancels to another server, where the number is another client's.",
    answer: "No other client's statement is cancelled. The function gives its statement up, and the line says so.",
    leaves: STAYS,
    fake: { backends: 2 },
    needs: ["slow event", "known statements"],
    steps: [
      ...STATEMENT,
      server((half) => {
        half.addOtherClient({ backend: 1, connectionId: 8 });
      }),
    ],
    invocations: [TERMINATED],
    outOfReach: true,
    afterwards: [nobodyElseWasKilled],
    line: { hooks: { mysql: ONE_GIVEN_UP } },
  },
  {
    name: "proxy with numbers of its own",
    happens: "A proxy's greeting gives the connection a number that is another client's on the server.",
    answer: "No other client's statement is cancelled. The line says what became of the function's statement.",
    leaves: STAYS,
    fake: { threadIdInGreeting: (connectionId) => connectionId + 1_000 },
    needs: ["slow event", "known statements"],
    steps: [
      server((half) => {
        half.addOtherClient({ backend: 0, connectionId: 1_008 });
      }),
      ...STATEMENT,
    ],
    invocations: [TERMINATED],
    outOfReach: true,
    afterwards: [nobodyElseWasKilled],
    line: { hooks: { mysql: { result: "done" } } },
  },
  {
    name: "Secrets Manager gone at SIGTERM",
    happens: "A statement runs at the SIGTERM, and Secrets Manager, which the password came from, refuses connections.",
    answer: "The function cancels the statement with the log-in that worked last.",
    environment: { DB_AUTH: "secret" },
    ownServer: { certificate: "right name" },
    needs: ["slow event", "DB_AUTH, DB_TLS", "AWS SDK"],
    steps: [passwords("first", "first"), ...STATEMENT, secretsManager("refused")],
    invocations: [TERMINATED],
    line: { hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "log-in refused at SIGTERM",
    happens: "A statement runs at the SIGTERM, and the server has another password by then.",
    answer: "The statement is given up in time, and the line says so.",
    leaves: STAYS,
    ownServer: { certificate: "right name" },
    needs: ["slow event"],
    steps: [...STATEMENT, changePassword("another")],
    invocations: [TERMINATED],
    outOfReach: true,
    line: { hooks: { mysql: ONE_GIVEN_UP } },
  },
  {
    name: "no connection to spare at SIGTERM",
    happens: "A statement runs at the SIGTERM, and the user may have no second connection to cancel it.",
    answer: "The statement is given up in time, and the line says so.",
    leaves: STAYS,
    fake: { limit: { connections: 1, code: 1226 } },
    needs: ["slow event", "known statements"],
    steps: STATEMENT,
    invocations: [TERMINATED],
    outOfReach: true,
    line: { hooks: { mysql: ONE_GIVEN_UP } },
  },
];
