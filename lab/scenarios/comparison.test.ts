import { stripVTControlCharacters } from "node:util";
import { comparison, logOfFailure, timelineOf, verdict } from "./comparison";
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
  timeline: [],
  logs: [],
};
const ABORTED: RunResult = {
  ...CLEAN,
  subject: "the article's way",
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

  test("is what was written last, where an invocation or the Init failed", () => {
    const said = logOfFailure({ ...FAILED, logs });
    expect(said).toMatch(/^this function logged \(the last 20 of 30 lines\):\n {2}line 11\n/);
    expect(said).toMatch(/\n {2}line 30\n$/);
    const initError = { errorType: "Runtime.ExitError", errorMessage: "exit status 1" };
    expect(logOfFailure({ ...CLEAN, initError, logs: ["why"] })).toBe("this function logged:\n  why\n");
  });

  test("is nothing where nothing failed, or nothing was written", () => {
    expect(logOfFailure({ ...CLEAN, logs })).toBe("");
    expect(logOfFailure(FAILED)).toBe("");
  });
});

describe("the verdict", () => {
  test.each([
    [
      "every connection closed",
      CLEAN,
      true,
      "✓ this function gave every connection back: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by itself.",
    ],
    [
      "one aborted",
      ABORTED,
      false,
      "✗ the article's way did not give every connection back: 2 opened, 1 closed with COM_QUIT, 1 aborted, 0 left on the server (Aborted_clients +1), the runtime's process ended by SIGKILL at its deadline.",
    ],
    [
      "one leaked",
      LEAKED,
      false,
      "✗ no extension did not give every connection back: 1 opened, 0 closed with COM_QUIT, 0 aborted, 1 left on the server (Aborted_clients +0), the runtime's process ended by SIGKILL at once.",
    ],
    [
      "a failed invocation",
      FAILED,
      false,
      "✗ this function did not give every connection back, 1 invocation failed: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by itself.",
    ],
    [
      "none opened",
      { ...CLEAN, outcomes: [] },
      false,
      "✗ this function did not give every connection back: 0 opened, 0 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by itself.",
    ],
  ])("%s", (_, result, clean, sentence) => {
    const found = verdict(result);
    expect({ ...found, sentence: stripVTControlCharacters(found.sentence) }).toEqual({ clean, sentence });
  });

  test("an Init that failed is said with its error, and is not clean", () => {
    const initError = { errorType: "TypeError", errorMessage: "no host" };
    const { clean, sentence } = verdict({ ...CLEAN, initError, invocations: [], outcomes: [] });
    expect(clean).toBe(false);
    expect(stripVTControlCharacters(sentence)).toBe("✗ Init of this function failed: TypeError: no host.");
  });

  test("a runtime that was gone before anything told it to go is not clean", () => {
    const { clean, sentence } = verdict({ ...CLEAN, shutdown: { endedBy: "gone before", runtimeMs: 0 } });
    expect(clean).toBe(false);
    expect(sentence).toContain("the runtime's process gone before any signal");
  });

  test("a runtime that had to be killed is not clean, whatever its connections", () => {
    expect(verdict({ ...CLEAN, shutdown: ABORTED.shutdown }).clean).toBe(false);
  });

  test("nothing run is nothing proven", () => {
    expect(verdict(undefined)).toEqual({ clean: false, sentence: "nothing was run" });
  });
});

test("the ways stand side by side, a column each", () => {
  expect(rows(comparison([CLEAN, ABORTED, LEAKED, { ...FAILED, outcomes: [] }]))).toEqual([
    ["", "this function", "the article's way", "no extension", "this function"],
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

test("a pool's connections are counted, an Init that failed and a signal that never came are said", () => {
  const result: RunResult = {
    ...ABORTED,
    initMs: NaN,
    shutdown: { endedBy: "gone before", runtimeMs: 0 },
    outcomes: ["aborted", "closed", "aborted", "leaked"],
  };
  const table = new Map(rows(comparison([result])).map(([title = "", cell = ""]) => [title, cell]));
  expect(table.get("Init: runtime ready")).toBe("failed");
  expect(table.get("Shutdown: first signal")).toBe("none");
  expect(table.get("Connection")).toBe("clean close, 2 × aborted, leaked until wait_timeout");
});

describe("the timeline", () => {
  test("has a line for each thing that happened", () => {
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

  test("of nothing is nothing", () => {
    expect(timelineOf(undefined)).toBe("");
  });
});

test.each([
  ["all of them", { outcomes: ["closed", "closed"], quitMs: undefined, closedBefore: 2 }, "closed before"],
  ["one of two", { outcomes: ["closed", "aborted"], quitMs: undefined, closedBefore: 1 }, "1 closed before"],
  ["one, and one on the signal", { outcomes: ["closed", "closed"], quitMs: 3.14, closedBefore: 1 }, "+ 3.1 ms"],
] as const)("connections that were closed before the signal: %s", (_, result, cell) => {
  const table = rows(comparison([{ ...CLEAN, ...result }]));
  expect(table).toContainEqual(["COM_QUIT at the server", cell]);
});
