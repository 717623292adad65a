import { advice } from "./advice";
import type { DatabaseLibrary, HandlerCode } from "../functions/handler-code";
import { LANGUAGE_ADVICE } from "./language-advice";
import { LOG_IN_REFUSED, type RunResult } from "./run";

const CLEAN: RunResult = {
  subject: "theirs",
  end: "spindown",
  initMs: 60,
  invocations: [{ ok: true, payload: {}, durationMs: 1 }],
  shutdown: { endedBy: "itself", runtimeMs: 8 },
  quitMs: 3,
  outcomes: ["closed", "closed"],
  abortedClients: 0,
  logIn: { auth: "secret", tls: "verified" },
  timeline: [],
  logs: [],
};
const DEADLINE = { endedBy: "SIGKILL at its deadline", runtimeMs: 300 } as const;
const FAILED = {
  ok: false,
  error: { errorType: "TypeError", errorMessage: "no host\nsecond line" },
  durationMs: 1,
} as const;

test("there is nothing to change if every connection was closed", () => {
  expect(advice(CLEAN)).toBeUndefined();
  expect(advice(CLEAN, true)).toBeUndefined();
});

test.each<[string, Partial<RunResult>, RegExp]>([
  [
    "no SIGTERM, since there is no extension",
    { shutdown: { endedBy: "SIGKILL at once", runtimeMs: 2 }, outcomes: ["leaked"], quitMs: undefined },
    /^register an extension/,
  ],
  [
    "SIGTERM, and nobody listens",
    { outcomes: ["aborted", "aborted"], quitMs: undefined },
    /^listen to SIGTERM, which ended the process with 2 of its connections open: await pool\.end\(\).*lambda-graceful-shutdown\/function/,
  ],
  [
    "SIGTERM heard, nothing closed, killed at the deadline",
    { shutdown: DEADLINE, outcomes: ["aborted"], quitMs: undefined },
    /^on SIGTERM it closed nothing and did not leave: await pool\.end\(\).*onShutdown/,
  ],
  [
    "SIGTERM heard, one of two closed, killed at the deadline",
    { shutdown: DEADLINE, outcomes: ["closed", "aborted"] },
    /^on SIGTERM it closed 1 of 2 connections and did not leave/,
  ],
  [
    "everything closed, and the process hangs in process.exit()",
    { shutdown: DEADLINE },
    /^process\.exit\(\) does not exit under AWS's runtime client.*raising the signal again/,
  ],
  [
    "it leaves before all is closed",
    { outcomes: ["closed", "aborted"] },
    /^it closed 1 of 2 connections before it left/,
  ],
  ["it never reaches the server", { outcomes: [], quitMs: undefined }, /^set its database variables with --env/],
  [
    "it fails before it reaches the server",
    { outcomes: [], quitMs: undefined, invocations: [FAILED] },
    /^fix the invocation first, which fails with TypeError: no host; if it misses a variable, give it with --env$/,
  ],
  ["an invocation fails", { invocations: [FAILED] }, /^fix the invocation, which fails with TypeError: no host$/],
  [
    "a package is missing",
    { outcomes: [], initError: { errorType: "Error", errorMessage: "Cannot find package 'pg'" } },
    /^deploy every package/,
  ],
  [
    "its Init fails",
    { outcomes: [], initError: { errorType: "TypeError", errorMessage: "undefined" } },
    /^fix the Init first/,
  ],
  [
    "its process has crashed",
    { shutdown: { endedBy: "gone before", runtimeMs: 0 }, outcomes: ["aborted"] },
    /^keep the runtime's process alive/,
  ],
  [
    "the lab has killed its process",
    { end: "failure", shutdown: { endedBy: "gone before", runtimeMs: 0 }, outcomes: ["aborted"] },
    /^nothing in the shutdown/,
  ],
])("%s", (_, result, change) => {
  const found = advice({ ...CLEAN, ...result });
  expect(found).toMatch(change);
  expect(found).not.toContain("\n");
});

test("a handler that got SIGTERM from the lab also needs an extension, one without SIGTERM only an extension", () => {
  const nobodyListens: RunResult = { ...CLEAN, outcomes: ["aborted"], quitMs: undefined };
  expect(advice(nobodyListens, true)).toMatch(/^listen to SIGTERM.*deploy it with an extension, as the lab ran it/);
  expect(advice(nobodyListens)).not.toContain("deploy it with an extension");
});

/** A handler's code with a pool of mysql2's that listens to SIGTERM and closes nothing. */
function code(given: Partial<HandlerCode> = {}, library: Partial<DatabaseLibrary> = {}): { code: HandlerCode } {
  return {
    code: {
      library: { name: "mysql2", kind: "MySQL", close: "db.end()", ...library },
      ...{ variables: ["DATABASE_URL"], listensToSigterm: true, callsExit: false, closes: false, isCommonJs: false },
      ...given,
    },
  };
}

const UNHEARD: Partial<RunResult> = {
  shutdown: { endedBy: "SIGTERM, unheard", runtimeMs: 4 },
  outcomes: ["aborted"],
  quitMs: undefined,
};
const TIMED_OUT = {
  ok: false,
  error: {
    errorType: "Sandbox.Timedout",
    errorMessage: "RequestId: 6f41-4b6c Error: Task timed out after 3.00 seconds",
  },
  durationMs: 3_000,
} as const;
const NO_CONNECTION: Partial<RunResult> = { outcomes: [], quitMs: undefined };

function failing(errorMessage: string): Partial<RunResult> {
  return { ...NO_CONNECTION, invocations: [{ ...FAILED, error: { errorType: "Error", errorMessage } }] };
}

test.each<[string, Partial<RunResult>, { readonly code: HandlerCode; readonly given?: readonly string[] }, string]>([
  [
    "a connection was closed before, and nobody listens to SIGTERM",
    { ...UNHEARD, outcomes: ["closed", "aborted"] },
    code({ listensToSigterm: false }),
    "listen to SIGTERM, which ended the process with 1 of its connections open: await db.end()",
  ],
  [
    "the pool is a member",
    UNHEARD,
    code({}, { close: "this.db.end()", isMember: true }),
    'then in its class, after the line that makes this.db: onShutdown("mysql2", () => this.db.end())',
  ],
  ["the pool is in another file", UNHEARD, code({}, { file: "db.mjs" }), "and in db.mjs: import { onShutdown }"],
  ["the pool's name is not known", UNHEARD, code({}, { isGuessed: true }), "db.end(), with the variable of your code"],
  [
    "it closes, and something slow goes before",
    { ...UNHEARD, shutdown: DEADLINE },
    code({ closes: true }),
    "on SIGTERM it closed nothing before its deadline: cancel what still runs, await db.end() before anything slow",
  ],
  [
    "its listener throws",
    {
      ...{ ...UNHEARD, shutdown: DEADLINE },
      logs: [
        "index.mjs:4",
        "  throw",
        "  ^",
        "",
        "Error: oops",
        "    at process.<anonymous> (index.mjs:4:45)",
        "",
        "Node.js v24.21.0",
      ],
    },
    code(),
    "its SIGTERM listener fails with Error: oops, and the process did not leave: catch that error, await db.end(), then",
  ],
  ["it closes everything and leaves too late", { shutdown: DEADLINE }, code(), "do nothing slow after the close"],
  [
    "it ends the pool, and its library leaves a connection",
    { outcomes: ["closed", "aborted"] },
    code({ closes: true }, { note: "give its pool minimumIdle: 1" }),
    "it closed 1 of 2 connections before it left: give its pool minimumIdle: 1",
  ],
  [
    "an invocation needs longer",
    { invocations: [TIMED_OUT] },
    code(),
    "timed out after 3.00 seconds; if it has longer where it is deployed, --timeout <seconds>",
  ],
  ["it answers without its database", NO_CONNECTION, code(), "send it an event for which it uses its database"],
  [
    "the server refused it",
    { ...NO_CONNECTION, timeline: [{ at: 1, phase: "Init", what: `${LOG_IN_REFUSED} (its thread 5)` }] },
    code(),
    "let it log in as the lab's user",
  ],
  [
    "its client is of another server",
    NO_CONNECTION,
    code({}, { kind: "PostgreSQL" }),
    "--tcp pg=127.0.0.1:5432 --env 'DATABASE_URL=postgresql://user:password@{pg.host}:{pg.port}/database'",
  ],
  [
    "a variable is of another server",
    failing("Invalid URL"),
    code({ variables: ["REDIS_HOST", "REDIS_PORT", "ORDERS_TABLE", "DATABASE_URL"] }),
    "--tcp redis=127.0.0.1:6379 --env 'REDIS_HOST={redis.host}' --env 'REDIS_PORT={redis.port}' --env 'ORDERS_TABLE=…' (it",
  ],
  [
    "it trusts no authority of the lab",
    failing("unable to verify the first certificate"),
    code(),
    "--env 'NODE_EXTRA_CA_CERTS={ca}'",
  ],
  [
    "it trusts no authority but its own",
    failing("self-signed certificate in certificate chain"),
    { ...code(), given: ["NODE_EXTRA_CA_CERTS"] },
    "its code names its certificate authorities itself",
  ],
  [
    "it exports another name",
    {
      ...NO_CONNECTION,
      initError: { errorType: "Runtime.HandlerNotFound", errorMessage: "index.handler is undefined or not exported" },
    },
    code(),
    "--entry file.export (index.handler is undefined or not exported)",
  ],
  [
    "its Init waits for ever",
    { ...NO_CONNECTION, initError: { errorType: "Sandbox.Timedout", errorMessage: "Init timed out after 10 seconds" } },
    code(),
    "did not come within 10 seconds",
  ],
  ["its error is very long", failing("x".repeat(5_000)), code(), "x".repeat(200)],
])("%s, and the code is known", (_, result, context, change) => {
  const found = advice({ ...CLEAN, ...result }, false, context);
  expect(found).toContain(change);
  expect(found?.length).toBeLessThan(1_000);
});

describe("a handler in another language gets advice for that language", () => {
  const languages = ["go", "rust", "python", "java", "other"] as const;
  const OF_NODEJS = /process\.|pool\.end|registerExtension|function\/shutdown/;

  test.each(languages)("%s", (language) => {
    const unheard = advice({ ...CLEAN, language, outcomes: ["aborted"], quitMs: undefined });
    const killed = advice({ ...CLEAN, language, shutdown: DEADLINE });
    const atOnce = advice({
      ...CLEAN,
      language,
      shutdown: { endedBy: "SIGKILL at once", runtimeMs: 0 },
      outcomes: ["leaked"],
    });
    const { listen, leave, extension } = LANGUAGE_ADVICE[language];
    expect(unheard).toContain(listen);
    expect(killed).toBe(`it was killed at its deadline with every connection closed: ${leave}`);
    expect(atOnce).toContain(extension);
    for (const text of [unheard, killed, atOnce]) expect(text).not.toMatch(OF_NODEJS);
    expect(advice({ ...CLEAN, language })).toBeUndefined();
  });
});
