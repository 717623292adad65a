import { farewell, refuse, refuseAndEnd } from "#fake-mysql";
import { asked, connectsAtMost, entries } from "./checks";
import { ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import {
  connections,
  expectThat,
  freeze,
  init,
  invoke,
  passwords,
  script,
  server,
  thaw,
  dropOneConnection,
  type Step,
} from "./steps";

const IDLE = { hooks: { mysql: ONE_CLOSED } } as const;

const SECURE_FILE_PRIV =
  "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement";

/** The connections of this moment lead to a reader. */
const failOver = (code: 1290 | 1792 | 1836): Step =>
  server((half) => {
    half.failOver(code);
  });

/**
 * Connections of this moment get a farewell for the next statement of the kind, which is on its way as the server sends
 * it.
 */
const farewellCrosses = (code: 4031 | 1053, kind: RegExp): Step =>
  script((half) => {
    const old = new Set(half.openSessions);
    return { statement: (sql, session) => (old.has(session) && kind.test(sql) ? farewell(code) : undefined) };
  });

/** Rows in which a connection exists, but can no longer be used. */
export const FAILOVER_FAULTS: readonly Fault[] = [
  ...([1290, 1836] as const).map((code): Fault => ({
    name: `failover, read-only (${code})`,
    happens: "After a failover, a reader refuses an INSERT.",
    answer: "It drops the connection; the INSERT runs on a new one.",
    fake: {},
    needs: ["the faults' events"],
    steps: [init, invoke({ insert: "a" }), failOver(code), invoke({ insert: "b" }), invoke({ insert: "c" })],
    invocations: ["ok", "ok", "ok"],
    afterwards: [asked(/^INSERT.*'b'/, 2), asked(/^INSERT.*'c'/, 1)],
    line: IDLE,
  })),
  {
    name: "failover in a transaction",
    happens: "A reader refuses a statement of the transaction.",
    answer: "The transaction fails; only the caller can repeat it.",
    fake: {},
    needs: ["the faults' events"],
    steps: [
      ...[init, invoke({ transactionInsert: "a" }), failOver(1792)],
      ...[invoke({ transactionInsert: "b" }), invoke({ transactionInsert: "c" })],
    ],
    invocations: ["ok", /READ ONLY/, "ok"],
    afterwards: [asked(/^INSERT.*'b'/, 1), asked(/^INSERT.*'c'/, 1)],
    line: IDLE,
  },
  {
    name: "failover before COMMIT",
    happens: "The server becomes read-only and refuses the COMMIT.",
    answer: "The transaction is rolled back, and the connection dropped.",
    fake: {},
    needs: ["the faults' events"],
    steps: [
      script((half) => ({
        statement: (sql, session) => (sql === "COMMIT" && session === half.sessions[0] ? refuse(1290) : undefined),
      })),
      ...[init, invoke({ transactionInsert: "a" }), invoke({ transactionInsert: "b" })],
      expectThat("the first connection is gone", ({ fake }) => Promise.resolve(fake?.sessions[0]?.quit === true)),
    ],
    invocations: [/read-only/, "ok"],
    line: IDLE,
  },
  {
    name: "session that is read only",
    happens: "A statement makes its own session READ ONLY.",
    answer: "The next INSERT fails, and runs on no other connection.",
    needs: ["the faults' events"],
    steps: [init, invoke({ sql: "SET SESSION TRANSACTION READ ONLY" }), invoke({ insert: "a" })],
    invocations: ["ok", /READ ONLY/],
    afterwards: [entries("a", 0)],
    line: IDLE,
  },
  {
    name: "statement that an option prevents (1290)",
    happens: "The server refuses a statement because of secure_file_priv.",
    answer: "The statement fails, and the connection stays open.",
    fake: {},
    needs: ["the faults' events"],
    steps: [
      script(() => ({
        statement: (sql) => (sql.startsWith("INSERT") ? refuse(1290, SECURE_FILE_PRIV) : undefined),
      })),
      ...[init, invoke({ insert: "a" }), invoke("quick")],
    ],
    invocations: [/secure-file-priv/, "ok"],
    afterwards: [asked(/^INSERT/, 1), connectsAtMost(1)],
    line: IDLE,
  },
  {
    name: "server shuts down at the log-in",
    happens: "Two log-ins fail with error 1053.",
    answer: "It retries, each time later, and succeeds.",
    fake: {},
    needs: ["known statements"],
    steps: [
      script((half) => ({ login: () => (half.logIns.length <= 2 ? refuseAndEnd(1053) : undefined) })),
      ...[init, invoke("quick")],
    ],
    invocations: ["ok"],
    line: IDLE,
  },
  {
    name: "farewell crosses a statement",
    happens: "MySQL ends the connection (4031) while a statement is sent.",
    answer: "The statement runs on a new connection.",
    fake: {},
    needs: ["the faults' events"],
    steps: [init, invoke("quick"), farewellCrosses(4031, /^INSERT/), invoke({ insert: "a" })],
    invocations: ["ok", "ok"],
    line: IDLE,
  },
  {
    name: "farewell crosses BEGIN",
    happens: "Error 1053 crosses the first statement of a transaction.",
    answer: "The transaction begins on a new connection.",
    fake: {},
    needs: ["the faults' events"],
    steps: [
      ...[init, invoke("quick"), farewellCrosses(1053, /^(START TRANSACTION|BEGIN)/)],
      invoke({ transactionInsert: "a" }),
    ],
    invocations: ["ok", "ok"],
    afterwards: [asked(/^INSERT.*'a'/, 1)],
    line: IDLE,
  },
  {
    name: "farewell while frozen",
    happens: "MySQL ends the idle connection with error 4031.",
    answer: "The next invocation opens a new connection.",
    fake: {},
    needs: ["known statements"],
    steps: [init, invoke("quick"), freeze, server((half) => half.endIdle(4031)), thaw, invoke("quick")],
    invocations: ["ok", "ok"],
    line: IDLE,
  },
  {
    name: "rotation with a pool",
    happens: "After a rotation, one of three connections is reopened.",
    answer: "It closes the old ones, so that at most three are open.",
    environment: { DB_AUTH: "secret", POOL_SIZE: "3" },
    ownServer: { certificate: "right name" },
    needs: ["DB_AUTH, DB_TLS", "AWS SDK", "the faults' events"],
    steps: [
      ...[passwords("first", "first"), init, invoke({ parallel: 3 })],
      ...[passwords("second", "second"), dropOneConnection, invoke({ parallel: 3 }), invoke({ parallel: 3 })],
      expectThat("no more than three connections are open", async (scenario) => (await connections(scenario)) <= 3),
    ],
    invocations: ["ok", "ok", "ok"],
    line: { hooks: { mysql: { result: "done" } } },
  },
];
