import { advice, LANGUAGE_ADVICE } from "./advice";
import { ASKED_TOO_EARLY } from "../lambda/lifecycle";
import { LOG_IN_REFUSED, type Opened, type RunResult } from "./run";

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
const AT_ONCE = { endedBy: "SIGKILL at once", runtimeMs: 2 } as const;
const UNHEARD = { endedBy: "SIGTERM, unheard", runtimeMs: 4 } as const;
const CRASHED = { endedBy: "gone before", runtimeMs: 0 } as const;
const NO_CONNECTION: Partial<RunResult> = { outcomes: [], quitMs: undefined };
const OPENED: Opened = {
  outcome: "aborted",
  place: "lib/users.js:3",
  isModule: false,
  packages: ["mysql2 3.24.6", "knex 3.3.0"],
};
const EXIT_CALL = { place: "index.mjs:4", isModule: true, packages: [] } as const;
const ATTACH = "    NODE_OPTIONS=--import=lambda-graceful-shutdown/attach";
const UNCAUGHT = `Error: terminating connection due to idle-session timeout
    at Parser.parseErrorMessage (/var/task/node_modules/pg-protocol/dist/parser.js:285:98)
    at Socket.emit (node:events:524:28)`;
const EMITTED = "Emitted 'error' event on BoundPool instance at:";

function failing(errorType: string, errorMessage: string): Partial<RunResult> {
  return { ...NO_CONNECTION, invocations: [{ ok: false, error: { errorType, errorMessage }, durationMs: 1 }] };
}

function failingInit(errorType: string, errorMessage: string): Partial<RunResult> {
  return { ...NO_CONNECTION, initError: { errorType, errorMessage } };
}

test("there is nothing to change if every connection was closed", () => {
  expect(advice(CLEAN)).toBeUndefined();
  expect(advice(CLEAN, true)).toBeUndefined();
});

test.each<[string, Partial<RunResult>, string]>([
  ["no extension", { shutdown: AT_ONCE, outcomes: ["leaked"] }, "No extension is registered"],
  ["SIGTERM unheard", { shutdown: UNHEARD, outcomes: ["aborted"] }, "Nothing listens to SIGTERM"],
  ["killed, and nothing closed", { shutdown: DEADLINE, outcomes: ["aborted"] }, "did not leave before its deadline"],
  ["killed, and one closed", { shutdown: DEADLINE, outcomes: ["closed", "aborted"] }, "1 of 2 connections not closed"],
  ["killed, and all closed", { shutdown: DEADLINE }, "Do nothing slow after the close"],
  [
    "killed in process.exit()",
    { shutdown: DEADLINE, exitCall: EXIT_CALL },
    "It closed every connection, then index.mjs:4 called process.exit()",
  ],
  [
    "killed in a package's process.exit()",
    { shutdown: DEADLINE, exitCall: { isModule: true, packages: ["close-with-grace 2.5.0"] } },
    "then close-with-grace 2.5.0 called process.exit()",
  ],
  [
    "its listener throws",
    { shutdown: DEADLINE, uncaught: "Error: oops\n    at index.mjs:4" },
    "its SIGTERM listener failed with Error: oops",
  ],
  ["left with one open", { outcomes: ["closed", "aborted"] }, "It left on SIGTERM with 1 of 2 connections open"],
  [
    "a child left one open",
    {
      outcomes: ["closed", "leaked"],
      opened: [{ outcome: "leaked", isModule: true, packages: [], child: "node c.mjs" }],
    },
    '(opened by the child process "node c.mjs").\nLet the child process close',
  ],
  [
    "exits",
    { shutdown: CRASHED, outcomes: ["aborted"], exitCall: EXIT_CALL },
    "index.mjs:4 called process.exit() before",
  ],
  [
    "an error that the client cannot send",
    {
      invocations: [{ ok: false, error: { errorType: "Sandbox.Timedout", errorMessage: "" }, durationMs: 1 }],
      timeline: [{ at: 1, phase: "Invoke", what: ASKED_TOO_EARLY }],
    },
    "Make the error shorter",
  ],
  ["crashed", { shutdown: CRASHED, outcomes: ["aborted"] }, "Keep the process alive"],
  [
    "crashed by an error event",
    { shutdown: CRASHED, outcomes: ["aborted"], uncaught: UNCAUGHT },
    "terminating connection due to idle-session timeout.\n    at Parser.parseErrorMessage",
  ],
  [
    "an invocation crashed by an error event",
    {
      ...failing("Runtime.ExitError", "Runtime exited with error: exit status 1"),
      ...{ shutdown: CRASHED, outcomes: ["closed"], uncaught: UNCAUGHT, logs: [EMITTED] },
    },
    `Nothing listens to it (${EMITTED.slice(0, -1)}). Give the object a listener:\n    ….on("error"`,
  ],
  ["killed by the lab", { end: "failure", shutdown: CRASHED, outcomes: ["aborted"] }, "Nothing in the shutdown"],
  [
    "an invocation fails",
    { ...failing("TypeError", "no host\nsecond"), outcomes: ["closed"] },
    "fails with TypeError: no host.",
  ],
  ["no connection", NO_CONNECTION, "--env NAME={host}"],
  [
    "a connection that is not watched",
    { ...NO_CONNECTION, unwatched: ["127.0.0.1:53306", "127.0.0.1:53306"] },
    "2 connections to 127.0.0.1:53306, which the lab does not watch: --tcp NAME=127.0.0.1:53306",
  ],
  [
    "log-in refused",
    { ...NO_CONNECTION, timeline: [{ at: 1, phase: "Init", what: `${LOG_IN_REFUSED} (its thread 5)` }] },
    "Let it log in as the lab's user",
  ],
  ["fails", failing("TypeError", "undefined"), "If it expects another event, use --event"],
  ["another host", failing("Error", "connect ECONNREFUSED 10.0.0.1:3306"), "instead of 10.0.0.1:3306"],
  [
    "times out",
    failing("Sandbox.Timedout", "Task timed out after 3.00 seconds"),
    "If it needs longer, use --timeout <seconds>.",
  ],
  ["no trust", failing("Error", "unable to verify the first certificate"), "--env 'NODE_EXTRA_CA_CERTS={ca}'"],
  ["a long error", failing("Error", "x".repeat(5_000)), "x".repeat(200)],
  ["no package", failingInit("Error", "Cannot find package 'pg'"), "Deploy every package"],
  [
    "no package in Python",
    { ...failingInit("Runtime.ImportModuleError", "No module named 'pymysql'"), language: "python" },
    "pip install --target",
  ],
  ["no export", failingInit("Runtime.HandlerNotFound", "index.handler is undefined"), "--entry file.export"],
  [
    "exits in Init",
    { ...failingInit("Runtime.ExitError", "exit status 1"), exitCall: EXIT_CALL },
    "index.mjs:4 called",
  ],
  ["ends in Init", failingInit("Runtime.ExitError", "Runtime exited without providing a reason"), "top-level await"],
  ["a slow Init", failingInit("Sandbox.Timedout", "Init timed out after 10 seconds"), "after 10 seconds"],
  [
    "three parameters, async or not",
    failingInit("Runtime.CallbackHandlerDeprecated", "removed support for callback-based function handlers"),
    "\n    exports.handler = async (event, context) => …(event, context);",
  ],
])("%s", (_, result, change) => {
  const found = advice({ ...CLEAN, quitMs: undefined, ...result });
  expect(found).toContain(change);
  expect(found?.length).toBeLessThan(1_500);
});

test("code to copy stands alone on its lines, in the module system of the file, and attach comes first", () => {
  const common = { ...CLEAN, shutdown: UNHEARD, outcomes: ["aborted", "aborted"] } as const;
  const other: Opened = { outcome: "aborted", place: "orders.mjs:9", isModule: true, packages: ["pg 8.23.1"] };
  const found = advice({ ...common, opened: [OPENED, other] }) ?? "";
  expect(found).toContain("opened at lib/users.js:3 by mysql2 3.24.6 of knex 3.3.0; at orders.mjs:9 by pg 8.23.1");
  const code = found.split("\n").filter((line) => line.startsWith("    "));
  expect(code).toEqual([
    ATTACH,
    "    AWS_LAMBDA_EXEC_WRAPPER=/opt/graceful-shutdown",
    '    const { closeOnShutdown } = require("lambda-graceful-shutdown");',
    "    closeOnShutdown(…); // of knex 3.3.0",
    '    import { closeOnShutdown } from "lambda-graceful-shutdown";',
    "    closeOnShutdown(…); // of pg 8.23.1",
  ]);
});

test("a handler that got SIGTERM from the lab also needs an extension, which attach brings", () => {
  const unheard = { ...CLEAN, shutdown: UNHEARD, outcomes: ["aborted"] } as const;
  expect(advice(unheard, true)).toContain("The lab assumed an extension");
  expect(advice(unheard)).not.toContain("The lab assumed");
});

test.each(["go", "rust", "python", "java", "other"] as const)("%s gets its own sentence", (language) => {
  const sentence = LANGUAGE_ADVICE[language];
  for (const shutdown of [UNHEARD, DEADLINE, AT_ONCE]) {
    const found = advice({ ...CLEAN, language, shutdown, outcomes: ["aborted"] });
    expect(found).toContain(sentence);
    expect(found).not.toContain("lambda-graceful-shutdown");
  }
  expect(advice({ ...CLEAN, language, shutdown: DEADLINE })).toContain(sentence);
});

test("Python leaves by os._exit, because sys.exit hangs on 3.13; Go and Rust need no extension", () => {
  expect(LANGUAGE_ADVICE.python).toContain("os._exit(0)");
  expect(LANGUAGE_ADVICE.go + LANGUAGE_ADVICE.rust).not.toContain("extension");
});
