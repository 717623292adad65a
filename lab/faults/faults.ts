import type { ShutdownExtension } from "./run-fault";
import type { HookEntry, ShutdownLine } from "./shutdown-line";
import {
  begin,
  beginInit,
  connectionsGone,
  dropConnections,
  freeze,
  freezeServer,
  init,
  invoke,
  killServer,
  passwords,
  restartServer,
  sigterm,
  statementRuns,
  thaw,
  wait,
  waitTimeout,
  type Step,
} from "./stage";

/** What a handler must understand beside an event that runs one statement. The key is for the rows, the text for people. */
export const NEEDS = {
  "slow event": "it needs an event whose statement runs for 30 seconds (--slow-event)",
  "DB_AUTH, DB_TLS": "it sets DB_AUTH or DB_TLS, which are this template's",
  "AWS SDK": "it needs the AWS SDK, which Lambda has, in a node_modules above the code (CDKTF_OUTDIR)",
  "the faults' events": "it asks for hooks, transactions or logs; npx jest faults plays it to the template's library",
} as const;
export type Need = keyof typeof NEEDS;

/** Something that goes wrong, and what a function that meets it has to do. A SIGTERM comes after the last step. */
export interface Fault {
  readonly name: string;
  /** What happens, for people. */
  readonly happens: string;
  /** What a function that does everything right makes of it, for people. */
  readonly answer: string;
  /** What stays on the server, for people. @default "nothing" */
  readonly leaves?: string;
  readonly steps: readonly Step[];
  /** @default none */
  readonly needs?: readonly Need[];
  /** What each invocation comes to: `ok`, or a pattern for the type and message of its error. */
  readonly invocations: readonly ("ok" | RegExp)[];
  /** What the line in the log says of itself. @default - no line is expected, nothing is there that could write it */
  readonly line?: {
    readonly phase: ShutdownLine["phase"];
    /** Their names, and what must stand in their entries. */
    readonly hooks: Readonly<Record<string, Partial<HookEntry>>>;
  };
  /** What the function finds at DB_HOST and DB_PORT. @default "server" */
  readonly target?: "server" | "nobody" | "dropped packets" | "silent server";
  /** A server of its own, since the next fault could not use it any more. @default - one that others use as well */
  readonly ownServer?: { readonly certificate: "right name" | "wrong name" };
  /** With TLS, and whose certificates the function trusts. @default - without TLS */
  readonly trusts?: "authority" | "stranger";
  readonly environment?: Readonly<Record<string, string>>;
  /** Milliseconds that an invocation may take. @default 10000 */
  readonly timeoutMs?: number;
  /** What makes Lambda send the SIGTERM. @default both */
  readonly extensions?: readonly ShutdownExtension[];
  /** No function can help what is left on the server. @default false */
  readonly outOfReach?: boolean;
  /** Loads a module that never finishes loading in the place of the function. @default false */
  readonly slowImport?: boolean;
}

/** Milliseconds after which a function that hangs is timed out: a connect and a statement take far less. */
const TIMEOUT_MS = 2_000;
const OWN_SERVER = { certificate: "right name" } as const;

const TIMED_OUT = /^Sandbox\.Timedout: /;
/** The process is gone before the function could answer, or just not: either way its caller learns that it failed. */
const TERMINATED = /^Runtime\.ExitError: |interrupted|shutting down/;

const NONE = mysql(0, 0, 0);
const ONE_CLOSED = mysql(1, 0, 0);
const ONE_CANCELLED = mysql(0, 1, 0);
const ONE_GIVEN_UP = mysql(0, 0, 1);

function mysql(closed: number, cancelled: number, givenUp: number): HookEntry {
  return { name: "mysql", result: "done", closed, cancelled, givenUp };
}

export const FAULTS: readonly Fault[] = [
  {
    name: "idle",
    happens: "Nothing goes wrong: one connection, idle.",
    answer: "COM_QUIT, and it waits until the server has let go.",
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "never connected",
    happens: "The environment goes before a connection was asked for.",
    answer: "Nothing to do.",
    environment: { FAULT_OPEN: "never" },
    needs: ["the faults' events"],
    steps: [init],
    invocations: [],
    line: { phase: "idle", hooks: { mysql: NONE } },
  },
  {
    name: "connect refused",
    happens: "Nobody listens where the database should be.",
    answer: "The invocation fails and says where it tried; nothing to close.",
    target: "nobody",
    steps: [init, invoke("quick")],
    invocations: [/ECONNREFUSED/],
    line: { phase: "idle", hooks: { mysql: NONE } },
  },
  {
    name: "connect into dropped packets",
    happens: "The connect gets no answer, not even a refusal, and is still under way.",
    answer: "The connect is given up in time.",
    target: "dropped packets",
    // In an invocation, so that a handler that connects on demand meets it as well.
    steps: [init, begin("quick"), wait(50)],
    invocations: [TERMINATED],
    line: { phase: "invocation", hooks: { mysql: NONE } },
  },
  {
    name: "connect to a silent server",
    happens: "The connection is accepted, and the server's greeting never comes.",
    answer: "The connect is given up in time, and the invocation with it.",
    target: "silent server",
    steps: [init, begin("quick"), wait(200)],
    invocations: [TERMINATED],
    line: { phase: "invocation", hooks: { mysql: NONE } },
  },
  {
    name: "function timeout in a long query",
    happens: "The function times out while its statement runs.",
    answer: "The statement is cancelled on the server, then COM_QUIT.",
    timeoutMs: TIMEOUT_MS,
    needs: ["slow event"],
    steps: [init, invoke("slow")],
    invocations: [TIMED_OUT],
    line: { phase: "invocation", hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "SIGTERM in an invocation",
    happens: "The environment is taken away while a statement runs.",
    answer: "The statement is cancelled on the server, then COM_QUIT.",
    needs: ["slow event"],
    steps: [init, begin("slow"), statementRuns],
    invocations: [TERMINATED],
    line: { phase: "invocation", hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "open transaction",
    happens: "The function times out between two statements of a transaction that holds a lock.",
    answer: "The transaction is rolled back, its lock is free.",
    timeoutMs: TIMEOUT_MS,
    needs: ["the faults' events"],
    steps: [init, invoke({ hold: { row: 1, ms: 30_000 } })],
    invocations: [TIMED_OUT],
    line: { phase: "invocation", hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "long query in a transaction",
    happens: "The environment is taken away while a statement runs in a transaction that holds a lock.",
    answer: "The statement is cancelled on the server and the transaction rolled back, its lock is free.",
    needs: ["the faults' events"],
    steps: [init, begin({ hold: { row: 1, sleepSeconds: 30 } }), statementRuns],
    invocations: [TERMINATED],
    line: { phase: "invocation", hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "pool of five, mixed",
    happens: "Of five connections one runs a statement, one holds a lock, three are idle, and the function times out.",
    answer: "Each gets what it needs, at the same time.",
    environment: { POOL_SIZE: "5" },
    timeoutMs: TIMEOUT_MS,
    needs: ["the faults' events"],
    steps: [init, invoke({ mixed: true })],
    invocations: [TIMED_OUT],
    line: { phase: "invocation", hooks: { mysql: mysql(4, 1, 0) } },
  },
  {
    name: "server frozen",
    happens: "The server hangs: its kernel accepts what is sent, and nobody answers.",
    answer: "COM_QUIT is sent and waited for until the time is over; when the server wakes up it finds it.",
    leaves: "nothing, once it has woken up",
    ownServer: OWN_SERVER,
    steps: [init, invoke("quick"), freezeServer],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_GIVEN_UP } },
  },
  {
    name: "server frozen in a long query",
    happens: "The server hangs while it carries out a statement, and the environment is taken away.",
    answer: "Nobody can cancel the statement; it is given up in time, and the line says so.",
    leaves: "the statement and its connection, until the statement ends after the server has woken up",
    ownServer: OWN_SERVER,
    needs: ["slow event"],
    steps: [init, begin("slow"), statementRuns, freezeServer],
    invocations: [TERMINATED],
    line: { phase: "invocation", hooks: { mysql: ONE_GIVEN_UP } },
    outOfReach: true,
  },
  {
    name: "server killed",
    happens: "The server has crashed while the environment was frozen, before the SIGTERM.",
    answer: "There is nothing to give back, and nothing waits for it.",
    leaves: "cannot be asked: the server is gone, and its threads with it",
    ownServer: OWN_SERVER,
    steps: [init, invoke("quick"), freeze, killServer],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: NONE } },
  },
  {
    name: "server restarted between two invocations",
    happens: "The server has crashed and come back, the function still has the connection from before.",
    answer: "The second invocation succeeds on a new connection.",
    ownServer: OWN_SERVER,
    steps: [init, invoke("quick"), restartServer, invoke("quick")],
    invocations: ["ok", "ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "wait_timeout while frozen",
    happens: "The server closes the connection while the environment is frozen.",
    answer: "The invocation after the thaw succeeds on a new connection.",
    ownServer: OWN_SERVER,
    steps: [waitTimeout(1), init, invoke("quick"), freeze, connectionsGone, waitTimeout(28_800), thaw, invoke("quick")],
    invocations: ["ok", "ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "frozen for long",
    happens:
      "The environment is frozen for so long that something on the way may have dropped the connection; nothing has.",
    answer: "The server is asked first, and the connection is kept.",
    steps: [init, invoke("quick"), freeze, wait(10_100), thaw, invoke("quick")],
    invocations: ["ok", "ok"],
    // The answer is the same whoever registered, and ten seconds are long.
    extensions: ["external"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED } },
  },
  ...(["throws", "rejects"] as const).map((how) => ({
    name: `a hook ${how}`,
    happens: `Another hook ${how}.`,
    answer: "It is reported; the database's hook runs as if nothing had happened.",
    environment: { FAULT_HOOK: how },
    needs: ["the faults' events" as const],
    steps: [init, invoke("quick")],
    invocations: ["ok" as const],
    line: { phase: "idle" as const, hooks: { mysql: ONE_CLOSED, fault: { result: "failed" as const } } },
  })),
  {
    name: "a hook never settles",
    happens: "Another hook, whose turn is before the database's, waits for what never comes.",
    answer: "It is given up in time for the database's hook.",
    environment: { FAULT_HOOK: "never" },
    needs: ["the faults' events"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED, fault: { result: "gave up" } } },
  },
  {
    name: "a hook blocks the event loop",
    happens: "Another hook computes for 200 ms without letting anybody else do anything.",
    answer: "The database's hook has the rest of the time.",
    environment: { FAULT_HOOK: "blocks" },
    needs: ["the faults' events"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED, fault: { result: "done" } } },
  },
  {
    name: "SIGTERM twice",
    happens: "A second SIGTERM comes while the hooks run.",
    answer: "It changes nothing.",
    environment: { FAULT_HOOK: "slow" },
    needs: ["the faults' events"],
    steps: [init, invoke("quick"), sigterm, wait(40)],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED, fault: { result: "done" } } },
  },
  {
    name: "SIGTERM during Init",
    happens: "The signal comes before the function's code has been loaded.",
    answer: "The process is gone at once, and there is nothing on the server.",
    slowImport: true,
    // An internal extension is the function's own code: before that is loaded, nothing makes Lambda send SIGTERM.
    extensions: ["external"],
    needs: ["the faults' events"],
    steps: [beginInit],
    invocations: [],
  },
  {
    name: "1 MB of log before the end",
    happens: "The last invocation and another hook each write 1 MB of log right before the end.",
    answer: "The line comes after it, whole.",
    environment: { FAULT_HOOK: "logs" },
    needs: ["the faults' events"],
    steps: [init, invoke({ logBytes: 1_000_000 })],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED, fault: { result: "done" } } },
  },
  {
    name: "TLS",
    happens: "One connection, idle, over TLS with a certificate for the host's name.",
    answer: "COM_QUIT, and it waits until the server has let go.",
    trusts: "authority",
    needs: ["DB_AUTH, DB_TLS"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "TLS, server killed",
    happens: "The server has crashed before the SIGTERM, and the end of the connection comes to TLS first.",
    answer: "There is nothing to give back, and nothing waits for it.",
    leaves: "cannot be asked: the server is gone, and its threads with it",
    trusts: "authority",
    ownServer: OWN_SERVER,
    needs: ["DB_AUTH, DB_TLS"],
    steps: [init, invoke("quick"), freeze, killServer],
    invocations: ["ok"],
    line: { phase: "idle", hooks: { mysql: NONE } },
  },
  {
    name: "TLS, untrusted certificate",
    happens: "The server's certificate was signed by an authority that the function does not trust.",
    answer: "The invocation fails and says why; nothing is left.",
    trusts: "stranger",
    needs: ["DB_AUTH, DB_TLS"],
    steps: [init, invoke("quick")],
    invocations: [/unable to (get|verify)|self-signed/],
    line: { phase: "idle", hooks: { mysql: NONE } },
  },
  {
    name: "TLS, wrong name",
    happens: "The server's certificate is for another host.",
    answer: "The invocation fails and says why; nothing is left.",
    trusts: "authority",
    ownServer: { certificate: "wrong name" },
    needs: ["DB_AUTH, DB_TLS"],
    steps: [init, invoke("quick")],
    invocations: [/does not match certificate's altnames/],
    line: { phase: "idle", hooks: { mysql: NONE } },
  },
  {
    name: "wrong password, then rotated",
    happens: "The secret is wrong, is set right, and is rotated; then the server drops the connection.",
    answer: "The first invocation fails with the server's words; each one after a change reads the secret anew.",
    ownServer: OWN_SERVER,
    environment: { DB_AUTH: "secret" },
    needs: ["DB_AUTH, DB_TLS", "AWS SDK"],
    steps: [
      ...[passwords("first", "wrong"), init, invoke("quick")],
      ...[passwords("first", "first"), invoke("quick")],
      ...[passwords("second", "second"), dropConnections, invoke("quick")],
    ],
    invocations: [/Access denied/, "ok", "ok"],
    line: { phase: "idle", hooks: { mysql: ONE_CLOSED } },
  },
];
