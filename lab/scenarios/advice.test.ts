import { advice } from "./advice";
import { LANGUAGE_ADVICE } from "./language-advice";
import type { RunResult } from "./run";

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
