import { stripVTControlCharacters } from "node:util";
import { comparison, failuresOf, logOf, logOfFailure, timelineOf } from "./comparison";
import type { RunResult } from "./run";

const CLEAN: RunResult = {
  subject: "this function",
  end: "idle",
  initMs: 61.7,
  invocations: [{ ok: true, payload: { connectionId: 7 }, durationMs: 12 }],
  shutdown: { endedBy: "itself", runtimeMs: 8.25 },
  quitMs: 3.14,
  outcomes: ["closed"],
  abortedClients: 0,
  logIn: { auth: "secret", tls: "verified" },
  timeline: [],
  logs: [],
};
const ABORTED: RunResult = {
  ...CLEAN,
  subject: "the article's way",
  logIn: { auth: "password", tls: "none" },
  shutdown: { endedBy: "SIGKILL at its deadline", runtimeMs: 309.4 },
  quitMs: undefined,
  outcomes: ["closed", "aborted"],
  abortedClients: 1,
};
const LEAKED: RunResult = {
  ...CLEAN,
  subject: "no extension",
  shutdown: { endedBy: "SIGKILL at once", runtimeMs: 2 },
  quitMs: undefined,
  outcomes: ["leaked"],
};
const FAILED: RunResult = {
  ...CLEAN,
  invocations: [
    ...CLEAN.invocations,
    { ok: false, error: { errorType: "Error", errorMessage: "no database" }, durationMs: 1 },
  ],
};

/** Cells of a printed table, a row each. */
function rows(table: string): string[][] {
  const lines = stripVTControlCharacters(table).split("\n");
  return lines
    .filter((line) => line.startsWith("│"))
    .map((line) =>
      line
        .slice(1, -1)
        .split("│")
        .map((cell) => cell.trim()),
    );
}

describe("the log of a failure", () => {
  const logs = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`);

  test("has the last lines, if an invocation or the Init failed", () => {
    const said = logOfFailure({ ...FAILED, logs });
    expect(said).toMatch(/^this function logged \(the last 20 of 30 lines\):\n {2}line 11\n/);
    expect(said).toMatch(/\n {2}line 30\n$/);
    const initError = { errorType: "Runtime.ExitError", errorMessage: "exit status 1" };
    expect(logOfFailure({ ...CLEAN, initError, logs: ["why"] })).toBe("this function logged:\n  why\n");
  });

  test("is empty if nothing failed or nothing was written", () => {
    expect(logOfFailure({ ...CLEAN, logs })).toBe("");
    expect(logOfFailure(FAILED)).toBe("");
  });
});

describe("the failures", () => {
  test("show the stack frames of the function only", () => {
    const trace = [
      "TypeError: no host",
      "    at Pool.open (/var/task/db.js:3:9)",
      "    at handler (file:///tmp/theirs/index.mjs:7:3)",
      "    at Runtime.processInvoke (file:///x/node_modules/aws-lambda-ric/index.mjs:1094:33)",
      "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    ];
    const error = { errorType: "TypeError", errorMessage: "no host", trace };
    expect(failuresOf({ ...CLEAN, invocations: [{ ok: false, error, durationMs: 1 }] }).split("\n")).toEqual([
      "TypeError: no host",
      "    at Pool.open (/var/task/db.js:3:9)",
      "    at handler (file:///tmp/theirs/index.mjs:7:3)",
    ]);
    expect(failuresOf(CLEAN)).toBe("");
    const long = { errorType: "Error", errorMessage: "x".repeat(100_000) };
    expect(failuresOf({ ...CLEAN, initError: long }).length).toBeLessThan(3_000);
  });
});

test("a line of the log is cut, and cannot move the cursor or change the colours", () => {
  const log = logOf("its log", [`\u001b[2J\u001b[31mred ${"x".repeat(100_000)}`, "short"]);
  expect(log).toMatch(/^its log:\n {2}red x+… \(100004 characters\)\n {2}short\n$/);
  expect(log.length).toBeLessThan(3_000);
});

describe("on a terminal", () => {
  const widest = (text: string): number =>
    Math.max(
      ...stripVTControlCharacters(text)
        .split("\n")
        .map((line) => line.length),
    );
  const four = [CLEAN, { ...ABORTED, subject: "an-artificially-long-name" }, LEAKED, FAILED];

  test.each([80, 100, 120])("of %i columns, each subject has its column, and no line is longer", (width) => {
    const table = comparison(four, width);
    expect(widest(table)).toBeLessThanOrEqual(width);
    expect(table.split("\n")[0]?.split("┬")).toHaveLength(5);
    expect(stripVTControlCharacters(table)).not.toContain("…");
  });

  test.each([50, 79])("of %i columns, they stand below each other, and no line is longer", (width) => {
    const table = comparison(four, width);
    expect(widest(table)).toBeLessThanOrEqual(width);
    for (const { subject } of [CLEAN, LEAKED]) expect(table).toContain(subject);
  });
});

test("the subjects are side by side, a column each", () => {
  expect(rows(comparison([CLEAN, ABORTED, LEAKED, { ...FAILED, outcomes: [] }], Infinity))).toEqual([
    ["", "this function", "the article's way", "no extension", "this function"],
    ["Log-in", "secret, TLS verified", "password, no TLS", "secret, TLS verified", "secret, TLS verified"],
    ["Init: runtime ready", "62 ms", "62 ms", "62 ms", "62 ms"],
    ["Invoke", "ok", "ok", "ok", "ok, failed"],
    ["Shutdown: first signal", "SIGTERM", "SIGTERM", "SIGKILL", "SIGTERM"],
    ["COM_QUIT at the server", "+ 3.1 ms", "never", "never", "+ 3.1 ms"],
    ["runtime gone", "+ 8.3 ms", "+ 309 ms", "+ 2.0 ms", "+ 8.3 ms"],
    ["ended by", "itself", "SIGKILL at its deadline", "SIGKILL at once", "itself"],
    ["Server: connections held", "0", "0", "1", "0"],
    ["Aborted_clients", "+0", "+1", "+0", "+0"],
    ["Connection", "clean close", "clean close, aborted", "leaked until wait_timeout", "none was opened"],
  ]);
});

test("a pool's connections are counted, and a failed Init and a missing signal are shown", () => {
  const result: RunResult = {
    ...ABORTED,
    initMs: NaN,
    shutdown: { endedBy: "gone before", runtimeMs: 0 },
    outcomes: ["aborted", "closed", "aborted", "leaked"],
  };
  const table = new Map(rows(comparison([result], Infinity)).map(([title = "", cell = ""]) => [title, cell]));
  expect(table.get("Init: runtime ready")).toBe("failed");
  expect(table.get("Shutdown: first signal")).toBe("none");
  expect(table.get("Connection")).toBe("clean close, 2 × aborted, leaked until wait_timeout");
});

describe("the timeline", () => {
  test("has a line for each event", () => {
    const timeline = [
      { at: 0.4, phase: "Init", what: "runtime started" },
      { at: 1234.5, phase: "Shutdown", what: "SIGTERM to the runtime" },
    ] as const;
    expect(stripVTControlCharacters(timelineOf({ ...CLEAN, timeline })).split("\n")).toEqual([
      "this function, from its start",
      "      0 ms  Init      runtime started",
      "   1235 ms  Shutdown  SIGTERM to the runtime",
    ]);
  });

  test("of no events is empty", () => {
    expect(timelineOf(undefined)).toBe("");
  });
});

test.each([
  ["all of them", { outcomes: ["closed", "closed"], quitMs: undefined, closedBefore: 2 }, "closed before"],
  ["one of two", { outcomes: ["closed", "aborted"], quitMs: undefined, closedBefore: 1 }, "1 closed before"],
  ["one, and one on the signal", { outcomes: ["closed", "closed"], quitMs: 3.14, closedBefore: 1 }, "+ 3.1 ms"],
] as const)("connections that were closed before the signal: %s", (_, result, cell) => {
  const table = rows(comparison([{ ...CLEAN, ...result }], Infinity));
  expect(table).toContainEqual(["COM_QUIT at the server", cell]);
});
