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
const STAYS = "the statement, until it ends";

const DIGITS = `(${Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS digit`).join(" UNION ALL ")})`;
export const MILLION_ROWS = `SELECT REPEAT('x', 100) AS text FROM ${["a", "b", "c", "d", "e", "f"].map((name) => `${DIGITS} ${name}`).join(", ")}`;

/** Rows in which a running statement cannot be cancelled, or may not be. */
export const CANCEL_FAULTS: readonly Fault[] = [
  {
    name: "large result at SIGTERM",
    happens: "A result of a million rows arrives.",
    answer: "It stops reading and cancels the statement.",
    needs: ["the faults' events"],
    steps: [init, begin({ sql: MILLION_ROWS }), statementRuns, wait(100)],
    invocations: [TERMINATED],
    line: { hooks: { mysql: { result: "done", givenUp: 0 } } },
  },
  {
    name: "pool of 32, all busy",
    happens: "32 statements run on 32 connections.",
    answer: "It cancels all at once, over one more connection.",
    environment: { POOL_SIZE: "32" },
    needs: ["the faults' events"],
    steps: [init, begin({ busy: 32 }), statementsRun(32)],
    invocations: [TERMINATED],
    line: { hooks: { mysql: mysql(0, 32, 0) } },
  },
  {
    name: "handler that catches errors and loops",
    happens: "A handler runs statements in an endless loop.",
    answer: "It refuses each statement a little later, so that the hooks can run.",
    needs: ["the faults' events"],
    steps: [init, begin({ loop: true }), wait(200)],
    invocations: ["any"],
    line: { hooks: { mysql: { result: "done", givenUp: 0 } } },
  },
  {
    name: "two servers behind one name",
    happens: "The cancelling connection reaches another server.",
    answer: "It cancels no other client's statement, and gives its own up.",
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
    happens: "A proxy gives the connection another client's number.",
    answer: "It cancels no other client's statement.",
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
    happens: "It refuses connections while a statement runs.",
    answer: "It cancels with the log-in that worked last.",
    environment: { DB_AUTH: "secret" },
    ownServer: { certificate: "right name" },
    needs: ["slow event", "DB_AUTH, DB_TLS", "AWS SDK"],
    steps: [passwords("first", "first"), ...STATEMENT, secretsManager("refused")],
    invocations: [TERMINATED],
    line: { hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "log-in refused at SIGTERM",
    happens: "The server refuses the connection that would cancel.",
    answer: "It gives up in time, and the line says so.",
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
    happens: "The server refuses the connection that would cancel.",
    answer: "It gives up in time, and the line says so.",
    leaves: STAYS,
    fake: { limit: { connections: 1, code: 1226 } },
    needs: ["slow event", "known statements"],
    steps: STATEMENT,
    invocations: [TERMINATED],
    outOfReach: true,
    line: { hooks: { mysql: ONE_GIVEN_UP } },
  },
];
