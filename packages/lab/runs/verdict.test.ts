import { stripVTControlCharacters } from "node:util";
import { withExtension } from "../functions/subject";
import { advice } from "./advice";
import { isLate, type RunResult } from "./run";
import { runVerdict, verdictLine, verdictOf, type Findings, type VerdictKind } from "./verdict";

const CLEAN: RunResult = {
  subject: "theirs",
  end: "idle",
  initMs: 61.7,
  invocations: [{ ok: true, payload: {}, durationMs: 12 }],
  shutdown: { endedBy: "itself", runtimeMs: 8.25 },
  quitMs: 3.14,
  outcomes: ["closed"],
  abortedClients: 0,
  logIn: { auth: "secret", tls: "verified" },
  timeline: [],
  logs: [],
};
const FUNCTION = {
  ...{ name: "theirs", directory: "/", handler: "index.handler", environment: {} },
  ...{ memorySizeMb: 128, timeoutMs: 3_000 },
};
const FAILED = { ok: false, error: { errorType: "Error", errorMessage: "no database" }, durationMs: 1 } as const;
const DEADLINE = { endedBy: "SIGKILL at its deadline", runtimeMs: 309 } as const;

test.each<[string, Partial<RunResult>, VerdictKind, string]>([
  [
    "every connection closed",
    {},
    "clean",
    "✓ theirs gave every connection back: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by itself.",
  ],
  [
    "closed by each invocation, and SIGTERM is not listened to",
    { shutdown: { endedBy: "SIGTERM, unheard", runtimeMs: 4 }, quitMs: undefined },
    "clean",
    "✓ theirs gave every connection back: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by SIGTERM, unheard.",
  ],
  [
    "aborted",
    { outcomes: ["closed", "aborted"], abortedClients: 1 },
    "not clean",
    "✗ theirs did not give every connection back: 2 opened, 1 closed with COM_QUIT, 1 aborted, 0 left on the server (Aborted_clients +1), the runtime's process ended by itself.",
  ],
  [
    "aborted, after an invocation that timed out",
    {
      outcomes: ["aborted"],
      abortedClients: 1,
      invocations: [
        {
          ok: false,
          error: {
            errorType: "Sandbox.Timedout",
            errorMessage: "RequestId: 6f41dd4d-6b4c Error: Task timed out after 3.00 seconds",
          },
          durationMs: 3_000,
        },
      ],
    },
    "not clean",
    "✗ theirs did not give every connection back, 1 invocation failed with Sandbox.Timedout: Task timed out after 3.00 seconds: 1 opened, 0 closed with COM_QUIT, 1 aborted, 0 left on the server (Aborted_clients +1), the runtime's process ended by itself.",
  ],
  [
    "leaked",
    { outcomes: ["leaked"], shutdown: { endedBy: "SIGKILL at once", runtimeMs: 2 } },
    "not clean",
    "✗ theirs did not give every connection back: 1 opened, 0 closed with COM_QUIT, 0 aborted, 1 left on the server (Aborted_clients +0), the runtime's process ended by SIGKILL at once.",
  ],
  [
    "killed with everything closed",
    { shutdown: DEADLINE },
    "not clean",
    "✗ theirs was killed at its deadline, with every connection given back: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by SIGKILL at its deadline.",
  ],
  [
    "an invocation failed with everything closed",
    { invocations: [FAILED, ...CLEAN.invocations] },
    "not clean",
    "✗ 1 of 2 invocations of theirs failed with Error: no database: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by itself.",
  ],
  [
    "gone before any signal",
    { shutdown: { endedBy: "gone before", runtimeMs: 0 } },
    "not clean",
    "✗ the process of theirs was gone before any signal: 1 opened, 1 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process gone before any signal.",
  ],
  [
    "its Init failed",
    { initError: { errorType: "TypeError", errorMessage: "no host." }, invocations: [], outcomes: [] },
    "not clean",
    "✗ Init of theirs failed: TypeError: no host.",
  ],
  [
    "no invocation answered, and no connection opened",
    { invocations: [FAILED, FAILED], outcomes: [] },
    "could not be invoked",
    "– theirs could not be invoked: all 2 invocations failed, the first with Error: no database.",
  ],
  [
    "no connection opened",
    { outcomes: [], shutdown: { endedBy: "SIGTERM, unheard", runtimeMs: 4 } },
    "no database seen",
    "– theirs opened no connection to a database that the lab watches, so there is no verdict: 0 opened, 0 closed with COM_QUIT, 0 aborted, 0 left on the server (Aborted_clients +0), the runtime's process ended by SIGTERM, unheard.",
  ],
])("a run: %s", (_, result, kind, line) => {
  const found = runVerdict({ ...CLEAN, ...result });
  expect({ kind: found.kind, clean: found.clean }).toEqual({ kind, clean: kind === "clean" });
  expect(stripVTControlCharacters(verdictLine(found))).toBe(line);
});

test.each<[string, Partial<RunResult>, string]>([
  [
    "PostgreSQL",
    {
      outcomes: ["closed"],
      tcp: [{ server: "orders", protocol: "PostgreSQL", outcome: "closed", saw: "Terminate, then FIN" }],
    },
    "1 opened, 1 closed with Terminate,",
  ],
  [
    "Redis without QUIT",
    { outcomes: ["closed"], tcp: [{ server: "cache", protocol: "Redis", outcome: "closed", saw: "FIN" }] },
    "1 opened, 1 closed with FIN,",
  ],
  [
    "a server that ends it",
    {
      outcomes: ["closed"],
      tcp: [{ server: "cache", protocol: "Redis", outcome: "closed", saw: "FIN of the server" }],
    },
    "1 opened, 1 closed with FIN,",
  ],
  [
    "MySQL and Redis",
    {
      outcomes: ["closed", "closed"],
      tcp: [{ server: "cache", protocol: "Redis", outcome: "closed", saw: "QUIT, then FIN" }],
    },
    "2 opened, 2 closed with COM_QUIT and QUIT,",
  ],
  [
    "PostgreSQL without a goodbye",
    {
      outcomes: ["aborted"],
      tcp: [{ server: "orders", protocol: "PostgreSQL", outcome: "aborted", saw: "FIN without Terminate" }],
    },
    "1 opened, 0 closed, 1 aborted,",
  ],
])("a closed connection has its protocol's end message: %s", (_, result, facts) => {
  expect(runVerdict({ ...CLEAN, ...result }).sentence).toContain(facts);
});

test("an exit that AWS's client would hang in is not proven on the lab's client", () => {
  const timeline = [{ at: 9, phase: "Shutdown", what: "runtime gone (exit status 0)" }] as const;
  expect(runVerdict({ ...CLEAN, timeline, isLabClient: true }).kind).toBe("not proven here");
  expect(runVerdict({ ...CLEAN, timeline }).kind).toBe("clean");
});

test("a close that encryption hides is neither clean nor not clean", () => {
  const saw = "FIN; it is encrypted, so the lab cannot see how its protocol closed it";
  const tcp = [{ server: "orders", protocol: "PostgreSQL", outcome: "closed", unproven: "encryption", saw }] as const;
  expect(runVerdict({ ...CLEAN, tcp })).toMatchObject({ kind: "not proven here", clean: false });
  expect(runVerdict({ ...CLEAN, tcp, outcomes: ["closed", "aborted"] }).kind).toBe("not clean");
  expect(advice({ ...CLEAN, tcp })).toMatch(/^Let it connect without TLS in the lab/);
});

test("FIN of a protocol that the lab does not know is no clean close, and no other either", () => {
  const saw = "FIN; the lab does not know this protocol";
  const tcp = [{ server: "queue", protocol: "unknown", outcome: "closed", unproven: "protocol", saw }] as const;
  expect(runVerdict({ ...CLEAN, tcp })).toMatchObject({ kind: "not proven here", clean: false });
});

test("nothing is proven on another version than the named runtime's", () => {
  const otherRuntime = "Python 3.11.7";
  for (const outcomes of [["closed"], ["aborted"]] as const) {
    const { kind, sentence } = runVerdict({ ...CLEAN, outcomes, otherRuntime });
    expect(kind).toBe("not proven here");
    expect(sentence).toMatch(/^on Python 3\.11\.7, which is not the named runtime, theirs /);
  }
});

test("an aborted connection to PostgreSQL is told in PostgreSQL's words", () => {
  const saw = "FIN without Terminate";
  const tcp = [{ server: "orders", protocol: "PostgreSQL", outcome: "aborted", saw }] as const;
  const { sentence } = runVerdict({ ...CLEAN, outcomes: ["aborted"], tcp });
  expect(sentence).toContain("pg_stat_database.sessions_abandoned");
  expect(sentence).not.toContain("Aborted_clients");
});

describe("an Init that timed out", () => {
  const error = { errorType: "Sandbox.Timedout", errorMessage: "Init timed out after 10 seconds" };
  const started = { at: 90, phase: "Init", what: "runtime started" } as const;
  const subject = { name: "theirs", extensions: [], lambdaFunction: FUNCTION };
  const { extensions } = withExtension(subject, "external");

  test("while the lab's own extension was starting says nothing of the function", () => {
    expect(isLate(error, [], { extensions })).toBe(true);
    expect(isLate(error, [started], { extensions })).toBe(false);
    expect(isLate(undefined, [], { extensions })).toBe(false);
    expect(isLate(error, [], { extensions: [{ name: "theirs", command: ["sleep", "60"] }] })).toBe(false);
  });

  test("in that way is not proven here, and is to be run again", () => {
    const result = { ...CLEAN, initError: error, outcomes: [], invocations: [] };
    expect(runVerdict({ ...result, isLate: true }).kind).toBe("not proven here");
    expect(advice({ ...result, isLate: true })).toBe("Run it again while this machine does less.");
    expect(runVerdict(result).kind).toBe("not clean");
  });
});

test("the fake has no Aborted_clients, so the verdict does not mention it", () => {
  const { abortedClients, ...onFake } = CLEAN;
  expect(abortedClients).toBe(0);
  expect(runVerdict(onFake).sentence).not.toContain("Aborted_clients");
});

describe("of many environments", () => {
  const MANY: Findings = {
    subject: "theirs",
    invocations: { ok: 70, failed: 0 },
    connections: { opened: 30, closed: 30, aborted: 0, leaked: 0 },
    endings: { itself: 39, "SIGKILL at its deadline": 1 },
  };
  test.each<[string, Partial<Findings>, VerdictKind]>([
    ["one of forty is late, as on a busy machine", {}, "clean"],
    ["many are killed", { endings: { itself: 20, "SIGKILL at its deadline": 20 } }, "not clean"],
    ["one invocation fails", { invocations: { ok: 69, failed: 1 } }, "not clean"],
    [
      "all invocations fail",
      { invocations: { ok: 0, failed: 70 }, connections: { opened: 0, closed: 0, aborted: 0, leaked: 0 } },
      "could not be invoked",
    ],
    ["one leaks", { connections: { opened: 30, closed: 29, aborted: 0, leaked: 1 } }, "not clean"],
  ])("%s", (_, findings, kind) => {
    expect(verdictOf({ ...MANY, ...findings }).kind).toBe(kind);
  });
});

const STARVED = { cpuMs: 20, waitMs: 210, budgetMs: 300, load: 12.34 };

test.each<[string, Partial<RunResult>, VerdictKind]>([
  ["was killed", { shutdown: { ...DEADLINE, starved: STARVED } }, "not proven here"],
  [
    "was killed, and lost a connection",
    { shutdown: { ...DEADLINE, starved: STARVED }, outcomes: ["aborted"] },
    "not proven here",
  ],
  ["gave everything back in time", { shutdown: { ...CLEAN.shutdown, starved: STARVED } }, "clean"],
])("a machine that kept a function from running, which %s", (_, found, kind) => {
  const { kind: seen, sentence } = runVerdict({ ...CLEAN, ...found });
  expect(seen).toBe(kind);
  if (kind !== "clean") {
    expect(sentence).toContain("too busy (load 12.3): the process waited 210 ms for a CPU, of the 300 ms that it had");
  }
});

test("of many environments, no more is excused than the starved ones can have lost", () => {
  const findings = (aborted: number, killed: number): Findings => ({
    subject: "theirs",
    invocations: { ok: 100, failed: 0 },
    connections: { opened: 100, closed: 100 - aborted, aborted, leaked: 0 },
    endings: { itself: 100 - killed, "SIGKILL at its deadline": killed },
    starved: { ...STARVED, environments: 3 },
  });
  expect(verdictOf(findings(3, 3)).kind).toBe("not proven here");
  expect(verdictOf(findings(4, 3)).kind).toBe("not clean");
  expect(verdictOf(findings(0, 20)).kind).toBe("not clean");
});
