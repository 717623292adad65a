import { hangUp, refuseAndEnd, reset, type Reaction } from "#fake-mysql";
import { connectsAtMost } from "./checks";
import { mysql, NONE, ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import { freeze, init, invoke, server, thaw, wait } from "./steps";

/** So that each connection that is tried belongs to the invocation. */
const NOT_IN_INIT = { FAULT_OPEN: "never" } as const;

/** Rows in which a connection is not to be had, or not at once. */
export const ACQUIRE_FAULTS: readonly Fault[] = [
  {
    name: "query inside a transaction, at the limit",
    happens: "`query()` inside `transaction()` needs a second connection.",
    answer: "It refuses at once, and the error says what to do.",
    needs: ["the faults' events"],
    steps: [init, invoke({ nested: true }), invoke("quick")],
    withinMs: 1_000,
    invocations: [/connectionLimit/, "ok"],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "statement with a time limit",
    happens: "A statement exceeds its caller's limit.",
    answer: "It cancels the statement, and uses the connection again.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SELECT SLEEP(30)", timeoutMs: 300 }), invoke("quick")],
    withinMs: 2_000,
    invocations: [/more than 300 ms/, "ok"],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "five dead connections after a freeze",
    happens: "The network drops all five.",
    answer: "It finds all five at once, and opens a new one.",
    environment: { POOL_SIZE: "5" },
    fake: {},
    needs: ["the faults' events"],
    steps: [
      ...[init, invoke({ parallel: 5 }), freeze],
      server((half) => {
        half.silence();
      }),
      ...[wait(10_100), thaw, invoke("quick")],
    ],
    invocations: ["ok", "ok"],
    withinMs: 2_500,
    // Long, and nothing in it depends on the extension.
    extensions: ["external"],
    outOfReach: true,
    leaves: "the five, until `wait_timeout`",
    line: { hooks: { mysql: { result: "done" } } },
  },
  {
    name: "each log-in cut off",
    happens: "The server ends each connection after its log-in.",
    answer: "The invocation fails after two log-ins at most.",
    environment: NOT_IN_INIT,
    fake: { script: { loggedIn: () => hangUp } },
    needs: ["the faults' events"],
    steps: [init, invoke("quick")],
    invocations: [/DatabaseUnreachableError/],
    afterwards: [connectsAtMost(2)],
    line: { hooks: { mysql: NONE } },
  },
  {
    name: "too many connections, for a moment",
    happens: "The server refuses two, then has room.",
    answer: "It retries, each time later, and succeeds.",
    environment: NOT_IN_INIT,
    fake: { script: { connect: ({ connectionId }) => tooManyFor(connectionId <= 9) } },
    needs: ["the faults' events"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    afterwards: [connectsAtMost(3)],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "too many connections, and a crowd",
    happens: "Three connections are refused; twenty statements wait for two.",
    answer: "The statements share the attempts and succeed.",
    environment: { ...NOT_IN_INIT, POOL_SIZE: "2" },
    fake: { script: { connect: ({ connectionId }) => tooManyFor(connectionId <= 10) } },
    needs: ["the faults' events"],
    steps: [init, invoke({ parallel: 20 })],
    invocations: ["ok"],
    afterwards: [connectsAtMost(5)],
    line: { hooks: { mysql: mysql(2, 0, 0) } },
  },
  {
    name: "network that resets connects, for a moment",
    happens: "Two connections are reset before the greeting, as in a failover.",
    answer: "It retries, each time later, and succeeds.",
    environment: NOT_IN_INIT,
    fake: { script: { connect: ({ connectionId }) => resetFor(connectionId <= 9) } },
    needs: ["known statements"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    afterwards: [connectsAtMost(3)],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "too many connections of the user, for a moment",
    happens: "The server refuses two, then has room.",
    answer: "It retries, each time later, and succeeds.",
    environment: NOT_IN_INIT,
    fake: { script: { login: ({ connectionId }) => (connectionId <= 9 ? refuseAndEnd(1226) : undefined) } },
    needs: ["the faults' events"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    afterwards: [connectsAtMost(3)],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "too many connections, for good",
    happens: "The server refuses every connection.",
    answer: "It tries a few times, then fails.",
    environment: { ...NOT_IN_INIT, DB_CONNECT_TIMEOUT_MS: "2000" },
    fake: { script: { connect: () => tooManyFor(true) } },
    needs: ["the faults' events"],
    timeoutMs: 6_000,
    withinMs: 5_500,
    steps: [init, invoke("quick")],
    invocations: [/DatabaseUnreachableError.*Too many connections/],
    afterwards: [connectsAtMost(20)],
    line: { hooks: { mysql: mysql(0, 0, 0) } },
  },
];

function resetFor(isReset: boolean): Reaction | undefined {
  return isReset ? reset : undefined;
}

function tooManyFor(refused: boolean): Reaction | undefined {
  return refused ? refuseAndEnd(1040) : undefined;
}
