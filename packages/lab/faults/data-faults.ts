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
    happens: "A handler starts a transaction through `query()`, locks a row and fails; then the environment is frozen.",
    answer:
      "The function rolls the transaction back after the statement: no lock stays while frozen, and the next INSERT is kept.",
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
    happens: "A handler turns autocommit off through `query()`; the next invocation inserts a row.",
    answer: "The next invocation has autocommit, and its INSERT is kept.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SET autocommit = 0" }), invoke({ insert: "acknowledged" })],
    invocations: ["ok", "ok"],
    line: IDLE,
    afterwards: [entries("acknowledged", 1)],
  },
  {
    name: "transaction used after its end",
    happens: "Of two branches in one transaction one fails; the other runs its next statement after the ROLLBACK.",
    answer: "The statement is refused, and nothing runs.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sideBySide: "late" })],
    invocations: [{ answers: /refused/ }],
    line: IDLE,
    afterwards: [entries("late", 0)],
  },
  {
    name: "server quotes the driver",
    happens:
      "A statement fails on the server, with a message that contains the driver's words for a closed connection.",
    answer: "The statement is not run a second time.",
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
    happens: "A statement answers a BIGINT that no JavaScript number can hold.",
    answer: "The caller gets every digit.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SELECT 9007199254740993 AS n" })],
    invocations: [{ answers: /9007199254740993/ }],
    line: IDLE,
  },
  {
    name: "generated number beyond 2^63",
    happens: "An INSERT generates a number of BIGINT UNSIGNED that no signed number of 64 bits can hold.",
    answer: "`insertId` has it digit by digit.",
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
    happens: "A statement answers a JSON document with a number that no JavaScript number can hold.",
    answer: "The caller gets the document, and the number in it digit by digit.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SELECT JSON_OBJECT('n', 9007199254740993) AS document" })],
    invocations: [{ answers: /"n":"9007199254740993"/ }],
    line: IDLE,
  },
  {
    name: "zero date",
    happens: "A statement answers a zero date, and a date without month and day.",
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
    happens:
      "The server has one time zone, the function another one, and a time is in the hour that the end of summer time repeats.",
    answer: "Times are read and written in UTC.",
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
    happens: "A trigger answers with error 4031, which MySQL sends to a connection that it ends.",
    answer: "The caller gets the error, and the statement is not run a second time.",
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
    happens: "Inside `transaction()`, a handler inserts a row and begins a transaction again, which commits the row.",
    answer: "The second BEGIN is refused, and the row rolled back.",
    needs: ["the faults' events"],
    steps: [init, invoke({ inTransaction: ["INSERT INTO ledger VALUES ('first')", "START TRANSACTION"] })],
    invocations: [/^NotRunError/],
    line: IDLE,
    afterwards: [entries("first", 0)],
  },
  {
    name: "another database left selected",
    happens: "A handler changes the database through `query()` (USE); the next invocation inserts a row.",
    answer: "The next invocation is in its own database, and its INSERT goes there.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "USE information_schema" }), invoke({ insert: "acknowledged" })],
    invocations: ["ok", "ok"],
    line: IDLE,
    afterwards: [entries("acknowledged", 1)],
  },
];
