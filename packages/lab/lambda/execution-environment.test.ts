import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ExecutionEnvironment,
  InitError,
  type EnvironmentConfig,
  type ExternalExtension,
  type InvocationResult,
} from "./execution-environment";
import { lambdaRuntime, type LambdaRuntime } from "./lambda-runtime";
import { thisFunction } from "../functions/subject";
import { until } from "./test-handlers/until";

const HANDLERS = join(__dirname, "test-handlers");
const LAB = __dirname;

/**
 * The lab's own client on this Node.js: quick, and the rules of an execution environment do not depend on the client.
 */
const OWN: LambdaRuntime = {
  name: "nodejs24.x",
  command: [process.execPath, join(LAB, "runtime-client.mjs")],
  isAwsClient: false,
  description: "the lab's own runtime client",
};

/** What a fixture wrote down. */
interface Note {
  readonly what: string;
  readonly at: number;
  readonly pid: number;
  readonly event?: { readonly shutdownReason?: string; readonly deadlineMs: number };
}

interface Payload {
  readonly event: unknown;
  readonly pid: number;
  readonly child?: number;
  readonly detached?: readonly number[];
  readonly remainingMs: number;
  readonly environment?: Readonly<Record<string, string>>;
}

interface Setting extends Partial<EnvironmentConfig> {
  readonly handler?: string;
  readonly timeoutMs?: number;
  readonly isProvisioned?: boolean;
  /** What handlers/probe.mjs does. */
  readonly probe?: { readonly FIRST_INIT?: string; readonly ON_SIGTERM?: string; readonly TICKS?: string };
}

class Lab extends ExecutionEnvironment {
  constructor(
    config: EnvironmentConfig,
    private readonly file: string,
  ) {
    super(config);
  }

  get notes(): Note[] {
    if (!existsSync(this.file)) return [];
    const lines = readFileSync(this.file, "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line) as Note);
  }

  get events(): string[] {
    return this.timeline.map(({ what }) => what);
  }

  noted(what: string): Note[] {
    return this.notes.filter((note) => note.what === what);
  }
}

let folder: string;
let labs: Lab[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "environment-"));
  labs = [];
});
afterEach(async () => {
  await Promise.all(labs.map((lab) => lab.shutdown()));
  rmSync(folder, { recursive: true });
});

function environment(setting: Setting = {}): Lab {
  const { handler = "probe.handler", timeoutMs = 20_000, isProvisioned = false, probe = {}, ...config } = setting;
  const file = join(folder, `notes-${labs.length}`);
  const lambdaFunction = {
    name: "a-function",
    directory: HANDLERS,
    handler,
    memorySizeMb: 256,
    timeoutMs,
    isProvisioned,
    environment: { ...probe, NOTES: file },
  };
  const lab = new Lab({ runtime: OWN, lambdaFunction, ...config }, file);
  labs.push(lab);
  return lab;
}

interface ExtensionOptions {
  readonly events?: readonly string[];
  readonly registerAfterMs?: number;
  readonly askAfterMs?: number;
  readonly workMs?: number;
  readonly mode?: "leave" | "stay" | "silent" | "crash in Init" | "exit in Init" | "crash on INVOKE" | "init error";
}

function extension(options: ExtensionOptions = {}, name = "outside"): ExternalExtension {
  return { name, command: [process.execPath, join(HANDLERS, "extension.mjs"), name, JSON.stringify(options)] };
}

async function answer(invocation: Promise<InvocationResult>): Promise<Payload> {
  const result = await invocation;
  if (!result.ok) throw new Error(`${result.error.errorType}: ${result.error.errorMessage}`);
  return result.payload as Payload;
}

async function failure(invocation: Promise<InvocationResult>): Promise<{ type: string; message: string }> {
  const result = await invocation;
  if (result.ok) throw new Error(`it succeeded: ${JSON.stringify(result.payload)}`);
  return { type: result.error.errorType, message: result.error.errorMessage };
}

async function initFailure(init: Promise<void>): Promise<unknown> {
  const error = await init.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(InitError);
  return (error as InitError).error;
}

/** A process whose exit nobody has read yet (a zombie) no longer runs. */
function isAlive(pid: number): boolean {
  try {
    if (existsSync("/proc/self/stat")) return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function first(notes: readonly Note[]): Note {
  const [note] = notes;
  if (note === undefined) throw new Error("nothing was noted");
  return note;
}

/** Every one of them, in this order; there may be others between them. */
function expectInOrder(events: readonly string[], wanted: readonly string[]): void {
  expect(events.filter((event) => wanted.includes(event))).toEqual(wanted);
}

const onLinux =
  process.platform === "darwin"
    ? (name: string, body: () => Promise<void>): void => {
        test.skip(`${name} (skipped: AWS's runtime client and /proc are Linux's)`, body);
      }
    : test;

describe("Init", () => {
  test("extensions register before the runtime starts, and Init ends when all have asked for an event", async () => {
    const extensions = [extension({ registerAfterMs: 150, askAfterMs: 600 }), extension({}, "outside-too")];
    const lab = environment({ extensions });
    await lab.init();
    expect(lab.noted("outside asks")).toHaveLength(1);
    expect(first(lab.noted("init")).at).toBeGreaterThanOrEqual(first(lab.noted("outside registered")).at);
    expectInOrder(lab.events, ["extension outside registered", "runtime started", "runtime ready (first /next)"]);
    expectInOrder(lab.events, ["extension outside-too registered", "runtime started"]);
    expect((await answer(lab.invoke("after it"))).event).toBe("after it");
  });

  test.each([
    ["the runtime", { probe: { FIRST_INIT: "hang" } }],
    ["an extension that never registers", { extensions: [extension({ mode: "silent" })] }],
    ["an extension that never asks", { extensions: [extension({ askAfterMs: 60_000 })] }],
  ])("ends at its limit, whatever delays it: %s", async (_, setting: Setting) => {
    const lab = environment({ ...setting, limits: { initMs: 700 } });
    const begun = performance.now();
    const error = await initFailure(lab.init());
    expect(performance.now() - begun).toBeGreaterThanOrEqual(699);
    expect(error).toEqual({ errorType: "Sandbox.Timedout", errorMessage: "Init timed out after 0.7 seconds" });
    expect(lab.notes.filter(({ pid }) => isAlive(pid))).toEqual([]);
  });

  test("by default the limit is 10 s", () => {
    expect(environment()).toHaveProperty("limits.initMs", 10_000);
  });

  test("with provisioned concurrency the limit is 130 s, or the time-out if that is longer", async () => {
    expect(environment({ isProvisioned: true, timeoutMs: 3_000 })).toHaveProperty("limits.initMs", 130_000);
    expect(environment({ isProvisioned: true, timeoutMs: 900_000 })).toHaveProperty("limits.initMs", 900_000);
    const { environment: seen } = await answer(environment({ isProvisioned: true }).invoke({ environment: true }));
    expect(seen).toMatchObject({ AWS_LAMBDA_INITIALIZATION_TYPE: "provisioned-concurrency" });
  });

  test.each([
    ["throw", { errorType: "RangeError", errorMessage: "the first Init fails" }],
    ["exit", { errorType: "Runtime.ExitError" }],
  ])("an Init that fails (%s) is reported, and the next invocation tries again", async (FIRST_INIT, wanted) => {
    const lab = environment({ probe: { FIRST_INIT } });
    expect(await initFailure(lab.init())).toMatchObject(wanted);
    expect(await answer(lab.invoke("again"))).toMatchObject({ event: "again" });
    expect(lab.noted("init")).toHaveLength(2);
  });

  test("an Init within the invocation is reported by the invocation, within the function's time-out", async () => {
    const throwing = environment({ probe: { FIRST_INIT: "throw" } });
    const hanging = environment({ probe: { FIRST_INIT: "hang" }, timeoutMs: 900 });
    const [thrown, hung] = await Promise.all([failure(throwing.invoke({})), failure(hanging.invoke({}))]);
    expect(thrown).toEqual({ type: "RangeError", message: "the first Init fails" });
    expect(hung).toEqual({
      type: "Sandbox.Timedout",
      message: expect.stringMatching(/^RequestId: [0-9a-f-]{36} Error: Task timed out after 0\.90 seconds$/) as string,
    });
  });

  test("an extension that crashes or reports an error ends it", async () => {
    const crashing = environment({ extensions: [extension({ mode: "crash in Init" })] });
    const leaving = environment({ extensions: [extension({ mode: "exit in Init" })] });
    const reporting = environment({ extensions: [extension({ mode: "init error" })] });
    const missing = environment({ extensions: [{ name: "missing", command: [join(folder, "no-such-program")] }] });
    const errors = await Promise.all([crashing, leaving, reporting, missing].map((lab) => initFailure(lab.init())));
    expect(errors).toMatchObject([
      { errorType: "Extension.Crash", errorMessage: "extension outside: exit status 7" },
      { errorType: "Extension.Crash", errorMessage: "extension outside: exit code 0" },
      { errorType: "Extension.InitError" },
      { errorType: "Extension.LaunchError" },
    ]);
  });
});

describe("Invoke", () => {
  test("the function gets the event as it is, the same process for each", async () => {
    const lab = environment();
    const event = { greeting: "Grüß Gott, 世界 👋🏽", list: [1, null, "\u2028"] };
    const payload = await answer(lab.invoke(event));
    expect(payload.event).toEqual(event);
    expect((await answer(lab.invoke({}))).pid).toBe(payload.pid);
  });

  test("the function gets its deadline, which includes an Init within the invocation", async () => {
    const lab = environment({ extensions: [extension({ registerAfterMs: 500 })], timeoutMs: 20_000 });
    expect((await answer(lab.invoke({}))).remainingMs).toBeLessThan(19_500);
    const { remainingMs } = await answer(lab.invoke({}));
    expect(remainingMs).toBeGreaterThan(15_000);
    expect(remainingMs).toBeLessThanOrEqual(20_000);
  });

  test("the function sees Lambda's variables and none of this machine's", async () => {
    process.env["DATABASE_ADMIN_PASSWORD"] = "of this machine";
    const lab = environment({ probe: { TICKS: "1000" } });
    const { environment: seen = {} } = await answer(lab.invoke({ environment: true }));
    delete process.env["DATABASE_ADMIN_PASSWORD"];
    expect({ ...seen, __CF_USER_TEXT_ENCODING: undefined }).toEqual({
      // Set by AWS's client for each invocation.
      _X_AMZN_TRACE_ID: expect.any(String) as string,
      AWS_LAMBDA_RUNTIME_API: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      AWS_LAMBDA_METADATA_API: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      AWS_LAMBDA_METADATA_TOKEN: expect.any(String) as string,
      NOTES: expect.any(String) as string,
      PATH: "/usr/local/bin:/usr/bin:/bin",
      LANG: "en_US.UTF-8",
      TZ: ":UTC",
      AWS_REGION: "us-east-1",
      AWS_DEFAULT_REGION: "us-east-1",
      AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
      AWS_LAMBDA_FUNCTION_NAME: "a-function",
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
      AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
      AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/a-function",
      AWS_LAMBDA_LOG_STREAM_NAME: "lab",
      LAMBDA_TASK_ROOT: HANDLERS,
      _HANDLER: "probe.handler",
      TICKS: "1000",
      __CF_USER_TEXT_ENCODING: undefined, // macOS puts it into every process
    });
  });

  test("an error of 2 MB is passed on", async () => {
    const { type, message } = await failure(environment().invoke({ throw: "x".repeat(2 * 1024 * 1024) }));
    expect([type, message.length]).toEqual(["RangeError", 2 * 1024 * 1024]);
  });

  test("an error of the function leaves the environment as it is", async () => {
    const lab = environment();
    const { pid } = await answer(lab.invoke({}));
    expect(await failure(lab.invoke({ throw: "too far" }))).toEqual({ type: "RangeError", message: "too far" });
    expect((await answer(lab.invoke({}))).pid).toBe(pid);
  });

  test.each([
    [{ exit: 3 }, "Runtime exited with error: exit status 3"],
    [{ exit: 0 }, "Runtime exited without providing a reason"],
    [{ kill: "SIGKILL" }, "Runtime exited with error: signal: killed"],
  ])("a runtime that ends (%j) fails the invocation, and the next has a new one", async (event, how) => {
    const lab = environment({ extensions: [extension()] });
    const { pid } = await answer(lab.invoke({}));
    const { type, message } = await failure(lab.invoke(event));
    expect(type).toBe("Runtime.ExitError");
    expect(message).toMatch(new RegExp(`^RequestId: [0-9a-f-]{36} Error: ${how}$`));
    expect(first(lab.noted("outside got SHUTDOWN")).event).toMatchObject({ shutdownReason: "failure" });
    expect((await answer(lab.invoke({}))).pid).not.toBe(pid);
  });

  test("an extension that crashes fails the invocation and resets", async () => {
    const lab = environment({
      extensions: [extension({ events: ["INVOKE"], mode: "crash on INVOKE" })],
      probe: { ON_SIGTERM: "raise" },
    });
    await lab.init();
    expect(await failure(lab.invoke({ hang: true }))).toEqual({
      type: "Extension.Crash",
      message: expect.stringMatching(/extension outside: exit status 7$/) as string,
    });
    expect(lab.notes.filter(({ pid }) => isAlive(pid))).toEqual([]);
  });

  test("it ends when every extension has asked for its next event", async () => {
    const lab = environment({ extensions: [extension({ events: ["INVOKE"], workMs: 300 })] });
    await answer(lab.invoke({}));
    expect(lab.noted("outside asks")).toHaveLength(2);
    expect(first(lab.noted("outside got INVOKE")).event).toMatchObject({
      eventType: "INVOKE",
      requestId: expect.any(String) as string,
      invokedFunctionArn: "arn:aws:lambda:us-east-1:012345678901:function:a-function",
    });
  });

  test("a time-out resets: SIGTERM comes in the middle of the work, and the next invocation has a new runtime", async () => {
    const onGone = jest.fn();
    const setting = { timeoutMs: 3_000, probe: { ON_SIGTERM: "raise" }, onGone };
    const heard = environment({ ...setting, extensions: [extension()] });
    const alone = environment(setting);
    await Promise.all(
      [heard, alone].map(async (lab) => {
        const { pid } = await answer(lab.invoke({}));
        const { type, message } = await failure(lab.invoke({ hang: true }));
        expect(type).toBe("Sandbox.Timedout");
        expect(message).toMatch(/^RequestId: [0-9a-f-]{36} Error: Task timed out after 3\.00 seconds$/);
        expect(isAlive(pid)).toBe(false);
        expect((await answer(lab.invoke("again"))).pid).not.toBe(pid);
      }),
    );
    expect(heard.noted("SIGTERM while busy")).toHaveLength(1);
    expect(first(heard.noted("outside got SHUTDOWN")).event).toMatchObject({ shutdownReason: "timeout" });
    expect(alone.noted("SIGTERM while busy")).toEqual([]);
    expect(onGone).not.toHaveBeenCalled(); // the machine stays, so the kernel closes the sockets of the killed process
  });
});

describe("Shutdown", () => {
  test("no extension: SIGKILL at once, without a signal before", async () => {
    const goneWhile: boolean[] = [];
    let pid = 0;
    const lab = environment({ probe: { ON_SIGTERM: "ignore" }, onGone: () => goneWhile.push(isAlive(pid)) });
    ({ pid } = await answer(lab.invoke({})));
    const { endedBy, runtimeMs } = await lab.shutdown();
    expect(endedBy).toBe("SIGKILL at once");
    expect(runtimeMs).toBeLessThan(300);
    expect(lab.noted("SIGTERM")).toEqual([]);
    expect(lab.logs).not.toContain("SIGTERM arrived");
    // The machine is gone, so no kernel closes the sockets of the killed process.
    expect(goneWhile).toEqual([true]);
    expect(isAlive(pid)).toBe(false);
  });

  test("an external extension: SIGTERM, the runtime ends itself, SHUTDOWN, the extension leaves", async () => {
    const goneWhile: number[][] = [];
    const lab = environment({
      extensions: [extension()],
      probe: { ON_SIGTERM: "raise" },
      onGone: () => goneWhile.push(lab.notes.map(({ pid }) => pid).filter(isAlive)),
    });
    await lab.init();
    const begun = Date.now();
    const { endedBy, runtimeMs, totalMs } = await lab.shutdown();
    expect(endedBy).toBe("itself");
    expect(runtimeMs).toBeLessThan(300);
    expect(totalMs).toBeLessThan(2_000);
    expect(lab.noted("SIGTERM")).toHaveLength(1);
    expectInOrder(lab.events, [
      "SIGTERM to the runtime",
      "runtime gone (signal: terminated)",
      "SHUTDOWN (spindown) to the external extensions",
      "environment gone",
    ]);
    const { event } = first(lab.noted("outside got SHUTDOWN"));
    expect(event).toMatchObject({ eventType: "SHUTDOWN", shutdownReason: "spindown" });
    expect(event?.deadlineMs).toBeGreaterThanOrEqual(begun + 1_990);
    expect(event?.deadlineMs).toBeLessThan(begun + 2_300);
    // Until the extensions have left, the machine is there.
    expect(goneWhile).toEqual([[]]);
  });

  test("the budgets: 300 ms with external extensions, 500 ms with an internal one, 2,000 ms in all", async () => {
    const extensions = [extension({ mode: "stay" })];
    const probe = { ON_SIGTERM: "ignore" };
    const external = environment({ extensions, probe });
    const internal = environment({ handler: "internal.handler", probe });
    const both = environment({ extensions, handler: "internal.handler", probe });
    const [ofExternal, ofInternal, ofBoth] = await Promise.all(
      ([external, internal, both] as const).map(async (lab) => {
        await lab.init();
        const result = await lab.shutdown();
        expect(result.endedBy).toBe("SIGKILL at its deadline");
        expect(lab.noted("SIGTERM")).toHaveLength(1);
        expect(lab.notes.filter(({ pid }) => isAlive(pid))).toEqual([]);
        return result;
      }),
    );
    expect(external.events).toContain("SIGKILL to the runtime, its 300 ms are over");
    expect(internal.events).toContain("SIGKILL to the runtime, its 500 ms are over");
    expect(both.events).toContain("SIGKILL to the runtime, its 500 ms are over");
    expect(ofExternal?.runtimeMs).toBeGreaterThanOrEqual(300);
    expect(ofExternal?.runtimeMs).toBeLessThan(1_500);
    expect(ofInternal?.runtimeMs).toBeGreaterThanOrEqual(500);
    expect(ofInternal?.totalMs).toBeLessThan(1_700);
    for (const lab of [external, both]) expect(lab.noted("outside got SHUTDOWN")).toHaveLength(1);
    for (const result of [ofExternal, ofBoth]) {
      expect(result?.totalMs).toBeGreaterThanOrEqual(2_000);
      expect(result?.totalMs).toBeLessThan(4_000);
    }
  });

  test("an extension that did not ask for SHUTDOWN is killed once the runtime is gone", async () => {
    const lab = environment({ extensions: [extension({ events: [], mode: "stay" })], probe: { ON_SIGTERM: "raise" } });
    await lab.init();
    const { endedBy, totalMs } = await lab.shutdown();
    expect(endedBy).toBe("itself");
    expect(totalMs).toBeLessThan(1_500);
    expect(lab.noted("outside got SHUTDOWN")).toEqual([]);
  });

  test("the fake of Insights makes Lambda send SIGTERM, and leaves on SHUTDOWN", async () => {
    const layers = ["arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:60"];
    const { extensions } = thisFunction({
      name: "",
      directory: "",
      handler: "",
      memorySizeMb: 128,
      timeoutMs: 1,
      environment: {},
      runtime: "",
      layers,
    });
    const lab = environment({ extensions, probe: { ON_SIGTERM: "raise" } });
    await lab.init();
    const { endedBy, totalMs } = await lab.shutdown();
    expect(endedBy).toBe("itself");
    expect(totalMs).toBeLessThan(2_000);
    expect(lab.noted("SIGTERM")).toHaveLength(1);
  });

  test("no process is left, not even one that the function started and that does not listen", async () => {
    const ended = environment({ extensions: [extension()], probe: { ON_SIGTERM: "raise" } });
    const killed = environment();
    const pids = await Promise.all(
      [ended, killed].map(async (lab) => {
        const { pid, child = 0 } = await answer(lab.invoke({ child: true }));
        const before = [pid, child, ...lab.notes.map((note) => note.pid)];
        expect(before.filter(isAlive)).toEqual(before);
        await lab.shutdown();
        return before;
      }),
    );
    await until(() => !pids.flat().some(isAlive));
  });

  const DETACHED = [{}, { stdio: "inherit" }, { env: { PATH: "/usr/bin:/bin" } }, { daemon: true }];

  // A child that has the log open would otherwise keep the lab from ending.
  onLinux("no detached child is left, whatever its log, environment and parent are", async () => {
    const ended = environment({ extensions: [extension()], probe: { ON_SIGTERM: "raise" } });
    const killed = environment();
    const reset = environment({ extensions: [extension()], probe: { ON_SIGTERM: "raise" } });
    for (const lab of [ended, killed, reset]) {
      const { detached = [] } = await answer(lab.invoke({ detached: DETACHED }));
      expect(detached).toHaveLength(DETACHED.length);
      expect(detached.filter(isAlive)).toEqual(detached);
      if (lab === reset) await failure(lab.invoke({ kill: "SIGKILL" }));
      else await lab.shutdown();
      expect(detached.filter(isAlive)).toEqual([]);
    }
  });

  onLinux("a detached child is frozen and thawed with its environment", async () => {
    const lab = environment();
    const { detached = [] } = await answer(lab.invoke({ detached: [{}] }));
    const state = (): string => /\) (.)/.exec(readFileSync(`/proc/${detached[0] ?? 0}/stat`, "latin1"))?.[1] ?? "";
    lab.freeze();
    // The shell is in state D if its own child was stopped between vfork and exec.
    await until(() => /^[TD]$/.test(state()));
    lab.thaw();
    await until(() => state() === "S");
  });

  test("the last line is in the logs", async () => {
    const lab = environment({ extensions: [extension()], probe: { ON_SIGTERM: "raise" } });
    await lab.init();
    await lab.shutdown();
    expect(lab.logs).toContainEqual(expect.stringMatching(/SIGTERM arrived$/));
  });

  test("of an environment that is gone already does nothing", async () => {
    const onGone = jest.fn();
    const lab = environment({ onGone });
    await failure(lab.invoke({ exit: 3 }));
    expect(onGone).not.toHaveBeenCalled(); // a reset leaves the machine on
    expect(await lab.shutdown()).toMatchObject({ endedBy: "gone before", runtimeMs: 0 });
    expect(onGone).toHaveBeenCalledTimes(1);
  });
});

describe("between invocations", () => {
  test("a frozen environment does not run, a thawed one goes on", async () => {
    const lab = environment({ extensions: [extension()], probe: { TICKS: "1" } });
    const { pid } = await answer(lab.invoke({}));
    const ticks = (): number => lab.noted("tick").length;
    await until(() => ticks() > 2);
    lab.freeze();
    await sleep(50);
    const frozen = ticks();
    await sleep(300);
    expect(ticks()).toBe(frozen);
    lab.thaw();
    await until(() => ticks() > frozen + 2);
    expect((await answer(lab.invoke({}))).pid).toBe(pid);
    expectInOrder(lab.events, ["frozen", "thawed"]);
  });

  test("a frozen environment gets SIGTERM at its shutdown", async () => {
    const lab = environment({ extensions: [extension()], probe: { ON_SIGTERM: "raise" } });
    await answer(lab.invoke({}));
    lab.freeze();
    await sleep(50);
    const { endedBy, totalMs } = await lab.shutdown();
    expect(endedBy).toBe("itself");
    expect(totalMs).toBeLessThan(2_000);
    expect(lab.noted("SIGTERM")).toHaveLength(1);
  });
});

describe("on AWS's runtime client", () => {
  let runtime: LambdaRuntime;

  beforeAll(() => {
    if (process.platform === "darwin") return;
    runtime = lambdaRuntime("nodejs24.x");
    if (!runtime.isAwsClient) {
      throw new Error(
        `AWS's runtime client is not built. Install cmake, make, g++ and python3 and try again. ${runtime.description}`,
      );
    }
  });

  onLinux("process.exit() on SIGTERM hangs until SIGKILL, the signal raised again ends the process", async () => {
    const exits = environment({ runtime, extensions: [extension()], probe: { ON_SIGTERM: "exit" } });
    const raises = environment({ runtime, extensions: [extension()], probe: { ON_SIGTERM: "raise" } });
    for (const lab of [exits, raises]) await answer(lab.invoke({}));
    const ofExit = await exits.shutdown();
    const ofRaise = await raises.shutdown();
    expect([exits, raises].map((lab) => lab.noted("SIGTERM").length)).toEqual([1, 1]);
    expect(ofExit.endedBy).toBe("SIGKILL at its deadline");
    expect(ofExit.runtimeMs).toBeGreaterThanOrEqual(300);
    expect(ofRaise.endedBy).toBe("itself");
    expect(ofRaise.runtimeMs).toBeLessThan(300);
  });

  onLinux("events and answers pass byte for byte, errors with their type and message", async () => {
    const lab = environment({ runtime });
    const event = { greeting: "Grüß Gott, 世界 👋🏽", list: [1, null, "\u2028"] };
    const payload = await answer(lab.invoke(event));
    expect(payload.event).toEqual(event);
    expect(payload.remainingMs).toBeGreaterThan(10_000);
    expect(await failure(lab.invoke({ throw: "too far" }))).toEqual({ type: "RangeError", message: "too far" });
    expect((await answer(lab.invoke({}))).pid).toBe(payload.pid);
  });

  onLinux("an error of 1 MB is passed on; one of 2 MB never leaves AWS's client, and times out", async () => {
    const lab = environment({ runtime, timeoutMs: 3_000 });
    const length = 1024 * 1024 - 10_000;
    const { type, message } = await failure(lab.invoke({ throw: "x".repeat(length) }));
    expect([type, message.length]).toEqual(["RangeError", length]);
    expect(await failure(lab.invoke({ throw: "x".repeat(2 * 1024 * 1024) }))).toMatchObject({
      type: expect.stringMatching(/^(Sandbox\.Timedout|Runtime\.ExitError)$/) as string,
    });
    expect(lab.events).toContain("the runtime asked for its next event without an answer to this one");
  });

  onLinux("Powertools reads the metadata before Init ends", async () => {
    const lab = environment({ runtime, handler: "metadata.handler" });
    expect(await answer(lab.invoke({}))).toEqual({ AvailabilityZoneID: "use1-az1" });
  });

  onLinux("an Init that fails is reported with the function's error, and the next invocation tries again", async () => {
    const lab = environment({ runtime, probe: { FIRST_INIT: "throw" } });
    const missing = environment({ runtime, handler: "probe.nobody" });
    expect(await initFailure(lab.init())).toMatchObject({
      errorType: "RangeError",
      errorMessage: "the first Init fails",
    });
    expect(await initFailure(missing.init())).toMatchObject({ errorType: "Runtime.HandlerNotFound" });
    expect(await answer(lab.invoke("again"))).toMatchObject({ event: "again" });
  });

  onLinux("an internal extension of the function makes Lambda send SIGTERM", async () => {
    const lab = environment({ runtime, handler: "internal.handler", probe: { ON_SIGTERM: "raise" } });
    await answer(lab.invoke({}));
    expect(await lab.shutdown()).toMatchObject({ endedBy: "itself" });
    expect(lab.noted("SIGTERM")).toHaveLength(1);
  });

  onLinux("a runtime that ends during an invocation is replaced", async () => {
    const lab = environment({ runtime });
    const { type, message } = await failure(lab.invoke({ exit: 3 }));
    expect([type, message.replace(/^RequestId: \S+ /, "")]).toEqual([
      "Runtime.ExitError",
      "Error: Runtime exited with error: exit status 3",
    ]);
    expect(await answer(lab.invoke("again"))).toMatchObject({ event: "again" });
  });
});
