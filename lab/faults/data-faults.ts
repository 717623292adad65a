import { refuse } from "../mysql/misbehaving-server-reaction";
import { asked, entries } from "./checks";
import { ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import { expectThat, freeze, init, invoke, locksAreFree, script, thaw } from "./steps";

const IDLE = { phase: "idle", hooks: { mysql: ONE_CLOSED } } as const;

/** Rows in which data would be lost, written twice, or not be what it is. */
export const DATA_FAULTS: readonly Fault[] = [
  {
    name: "transaction left open",
    happens: "A handler starts a transaction through `query()`, locks a row and fails; then the environment is frozen.",
    answer: "The transaction ends with the statement's turn: no lock while frozen, and the next INSERT stays.",
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
    answer: "The next invocation has autocommit, and its INSERT stays.",
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
      "A statement fails on the server, with a message that has the words of the driver for a closed connection.",
    answer: "The statement is not run a second time.",
    misbehaving: {},
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
    answer: "The caller gets it digit by digit.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SELECT 9007199254740993 AS n" })],
    invocations: [{ answers: /9007199254740993/ }],
    line: IDLE,
  },
];
