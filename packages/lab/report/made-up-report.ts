import type { Fault, ReportData, Run, Storm } from "./report-data";

const LIFE = [
  { at: 0.4, phase: "Init", what: "runtime started" },
  { at: 90, phase: "Init", what: "runtime ready (first /next)" },
  { at: 100, phase: "Invoke", what: "invocation" },
  { at: 110, phase: "Invoke", what: "response" },
] as const;

const LEFT: Run = {
  subject: "this function",
  logIn: { auth: "secret", tls: "verified" },
  shutdown: { endedBy: "itself", runtimeMs: 10 },
  outcomes: ["closed"],
  timeline: [
    ...LIFE,
    { at: 120, phase: "Shutdown", what: "SIGTERM to the runtime" },
    { at: 124, phase: "Shutdown", what: "COM_QUIT to the server (its thread 7)" },
    { at: 130, phase: "Shutdown", what: "runtime gone (exit status 0)" },
  ],
};
const HANGED: Run = {
  subject: "the article's way",
  logIn: { auth: "password", tls: "none" },
  shutdown: { endedBy: "SIGKILL at its deadline", runtimeMs: 300 },
  outcomes: ["aborted"],
  timeline: [
    ...LIFE,
    { at: 120, phase: "Shutdown", what: "SIGTERM to the runtime" },
    { at: 420, phase: "Shutdown", what: "SIGKILL to the runtime, its 300 ms are over" },
    { at: 420, phase: "Shutdown", what: "runtime gone (killed)" },
  ],
};
const KILLED: Run = {
  subject: "no extension",
  shutdown: { endedBy: "SIGKILL at once", runtimeMs: 5 },
  outcomes: ["leaked"],
  timeline: [...LIFE, { at: 120, phase: "Shutdown", what: "no extension registered: SIGKILL" }],
};

function storm(subject: string, leaked: number, goneMs: readonly number[], ending: string): Storm {
  const connections = [0, 8, 20, 17, leaked];
  return {
    ...{ subject, environments: 20, peakEnvironments: 20, seed: 7, goneMs },
    ...{ opened: 30, closed: 30 - leaked, aborted: 0, leaked },
    samples: connections.map((held, index) => ({
      ...{ at: index * 1_000, environments: index === 4 ? 0 : held, connections: held, leaked: 0, aborted: 0 },
    })),
    endings: { [ending]: goneMs.length },
    invocations: { ok: 40, failed: ending === "itself" ? 0 : 2 },
  };
}

function fault(name: string, subject: string, ...problems: readonly string[]): Fault {
  return { fault: name, function: subject, extension: "external", problems };
}

const LEFT_TWO = "connections left: 2";

export const MADE_UP: ReportData = {
  date: "2026-01-31T12:00:00.000Z",
  machine: "2 × a made-up processor",
  versions: { runtime: "Node.js v24.0.0", database: "MariaDB 10.11" },
  seed: 7,
  runs: [LEFT, HANGED, KILLED],
  storms: [
    { ...storm("this function", 0, [6, 7, 9, 12], "itself"), logIn: { auth: "secret", tls: "verified" } },
    storm("the article's way", 3, [301, 302, 304], "SIGKILL at its deadline"),
    storm("no extension", 30, [3, 4], "SIGKILL at once"),
  ],
  faults: [
    fault("idle", "this function"),
    fault("server killed", "this function"),
    fault("idle", "mysql2 alone", "Aborted_clients: +1"),
    fault("server killed", "mysql2 alone"),
    fault("idle", "the article's way", "end of the process: SIGKILL at its deadline, after 301 of 300 ms", LEFT_TWO),
  ],
};

/** The worst that a name or a log line may contain: markup, closing tags, a terminal's colours. */
export const HOSTILE = `</title></style></svg><script>alert(1)</script><img src="https://example.com/x" onerror='alert(1)'>&amp;\u001B[31m`;

/** {@link MADE_UP} with {@link HOSTILE} in each place that takes any text. */
export function hostile(): ReportData {
  const bad = (text: string): string => `${text}${HOSTILE}`;
  return {
    ...{ seed: 7, date: MADE_UP.date, machine: bad("machine") },
    versions: { [bad("name")]: bad("version") },
    runs: MADE_UP.runs.map((run) => ({
      ...{ ...run, subject: bad(run.subject) },
      timeline: run.timeline.map((entry) => ({ ...entry, what: bad(entry.what) })),
    })),
    storms: MADE_UP.storms.map((each) => ({ ...each, subject: bad(each.subject), endings: { [bad("itself")]: 4 } })),
    faults: MADE_UP.faults.map((each) => ({
      ...{ ...each, fault: bad(each.fault), function: bad(each.function), problems: each.problems.map(() => HOSTILE) },
    })),
  };
}
