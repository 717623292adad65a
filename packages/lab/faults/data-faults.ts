import { refuse } from "#fake-mysql";
import { asked, entries } from "./checks";
import { ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import { expectThat, freeze, init, invoke, locksAreFree, script, serverTimeZone, thaw } from "./steps";

const IDLE = { hooks: { mysql: ONE_CLOSED } } as const;

/** The night in which Europe's clocks show 02:30 twice, in UTC. */
const REPEATED_HOUR = ["2026-10-25T00:30:00", "2026-10-25T01:30:00"] as const;

/** Rows in which data would be lost, written twice, or not be what it is. */
export const DATA_FAULTS: readonly Fault[] = [
  {
    name: "transaction left open",
    happens: "A handler runs START TRANSACTION through `query()`.",
    answer: "It rolls back; the next INSERT is kept.",
    needs: ["the faults' events"],
    steps: [
      ...[init, invoke({ leave: { row: 1 } }), freeze],
      expectThat("the lock was free while the environment was frozen", locksAreFree),
      ...[thaw, invoke({ insert: "acknowledged" })],
    ],
    invocations: [/left open/, "ok"],
    line: IDLE,
    afterwards: [entries("acknowledged", 1)],
  },
  {
    name: "autocommit left off",
    happens: "A handler turns autocommit off through `query()`.",
    answer: "The next invocation has autocommit again.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SET autocommit = 0" }), invoke({ insert: "acknowledged" })],
    invocations: ["ok", "ok"],
    line: IDLE,
    afterwards: [entries("acknowledged", 1)],
  },
  {
    name: "transaction used after its end",
    happens: "A statement follows the ROLLBACK of its transaction.",
    answer: "It refuses the statement.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sideBySide: "late" })],
    invocations: [{ answers: /refused/ }],
    line: IDLE,
    afterwards: [entries("late", 0)],
  },
  {
    name: "server quotes the driver",
    happens: "Its error text is the driver's for a closed connection.",
    answer: "The statement runs once.",
    fake: {},
    needs: ["the faults' events"],
    steps: [
      script(() => ({
        statement: (sql) =>
          sql.startsWith("INSERT")
            ? refuse(
                1644,
                "Can't add new command when connection is in closed state; This socket has been ended by the other party",
              )
            : undefined,
      })),
      ...[init, invoke({ insert: "once" })],
    ],
    invocations: [/^Error: Can/],
    line: IDLE,
    afterwards: [asked(/^INSERT/, 1)],
  },
  {
    name: "whole number beyond 2^53",
    happens: "A result has a BIGINT that no JavaScript number can hold.",
    answer: "The caller gets every digit.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SELECT 9007199254740993 AS n" })],
    invocations: [{ answers: /9007199254740993/ }],
    line: IDLE,
  },
  {
    name: "generated number beyond 2^63",
    happens: "An INSERT generates a BIGINT UNSIGNED.",
    answer: "`insertId` has every digit.",
    needs: ["the faults' events"],
    steps: [
      init,
      invoke({ sql: "CREATE OR REPLACE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY)" }),
      invoke({ sql: "INSERT INTO big VALUES (9223372036854775900)" }),
      invoke({ sql: "INSERT INTO big VALUES (NULL)" }),
    ],
    invocations: ["ok", "ok", { answers: /"insertId":"9223372036854775901"/ }],
    line: IDLE,
  },
  {
    name: "whole number beyond 2^53 in JSON",
    happens: "A JSON document has such a number.",
    answer: "The caller gets every digit.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SELECT JSON_OBJECT('n', 9007199254740993) AS document" })],
    invocations: [{ answers: /"n":"9007199254740993"/ }],
    line: IDLE,
  },
  {
    name: "zero date",
    happens: "A result has `0000-00-00` and `2024-00-00`.",
    answer: "The caller gets both as the server writes them.",
    needs: ["the faults' events"],
    steps: [
      init,
      invoke({ sql: "SELECT CAST('0000-00-00 00:00:00' AS DATETIME) AS zero, CAST('2024-00-00' AS DATE) AS month" }),
    ],
    invocations: [{ answers: /"0000-00-00 00:00:00".*"2024-00-00"/ }],
    line: IDLE,
  },
  {
    name: "time zones",
    happens: "The server has another one, and summer time ends.",
    answer: "It reads and writes times in UTC.",
    ownServer: { certificate: "right name" },
    environment: { TZ: "Europe/Berlin" },
    needs: ["the faults' events"],
    steps: [serverTimeZone("+05:30"), init, ...REPEATED_HOUR.map((at) => invoke({ at: Date.parse(`${at}Z`) }))],
    invocations: REPEATED_HOUR.map((at) => ({
      answers: new RegExp(`"read":"${at.replace("T", " ")}[.0]*","written":"${at.replace("T", " ")}`),
    })),
    line: IDLE,
  },
  {
    name: "SIGNAL with the number of a farewell",
    happens: "A trigger fails with error 4031.",
    answer: "The caller gets the error; the statement runs once.",
    fake: {},
    needs: ["the faults' events"],
    steps: [
      script(() => ({
        statement: (sql) => (sql.startsWith("INSERT") ? refuse(4031, "said by a trigger") : undefined),
      })),
      ...[init, invoke({ insert: "once" })],
    ],
    invocations: [/said by a trigger/],
    line: IDLE,
    afterwards: [asked(/^INSERT/, 1)],
  },
  {
    name: "second BEGIN in a transaction",
    happens: "A handler begins a transaction again inside `transaction()`.",
    answer: "It refuses the BEGIN and rolls back.",
    needs: ["the faults' events"],
    steps: [init, invoke({ inTransaction: ["INSERT INTO ledger VALUES ('first')", "START TRANSACTION"] })],
    invocations: [/^NotRunError/],
    line: IDLE,
    afterwards: [entries("first", 0)],
  },
  {
    name: "another database left selected",
    happens: "A handler runs USE through `query()`.",
    answer: "The next invocation is in its own database.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "USE information_schema" }), invoke({ insert: "acknowledged" })],
    invocations: ["ok", "ok"],
    line: IDLE,
    afterwards: [entries("acknowledged", 1)],
  },
];
