import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a program that uses function/shutdown.ts wrote, and how it ended, when it got a signal. */
interface Ending {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly ms: number;
  readonly output: string;
  readonly report: { signal: string; hooks: { name: string; result: string; error?: string }[]; durationMs: number };
}

const SHUTDOWN = join(__dirname, "../../function/shutdown.ts");
const folder = mkdtempSync(join(tmpdir(), "shutdown-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let programs = 0;

/** Runs a program until it prints "ready", sends it the signals, and waits for its end. */
async function end(
  program: string,
  signals: readonly NodeJS.Signals[] = ["SIGTERM"],
  options: { readonly env?: NodeJS.ProcessEnv; readonly wrapper?: readonly string[] } = {},
): Promise<Ending> {
  const file = join(folder, `program-${(programs += 1)}.ts`);
  writeFileSync(
    file,
    `import { onShutdown } from ${JSON.stringify(SHUTDOWN)};\n${program}\nsetInterval(() => 0, 1000); console.log("ready");`,
  );
  const [command, ...args] = [...(options.wrapper ?? []), process.execPath, "--import", require.resolve("tsx"), file];
  const child = spawn(command, args, { env: { PATH: process.env["PATH"], ...options.env } });
  const limit = setTimeout(() => child.kill("SIGKILL"), 10_000); // one that cannot end must not hold up the rest
  let output = "";
  let begun = 0;
  const add = (chunk: Buffer): void => {
    output += chunk.toString();
    if (begun > 0 || !output.includes("ready")) return;
    begun = performance.now();
    for (const signal of signals) child.kill(signal);
  };
  child.stdout.on("data", add);
  child.stderr.on("data", add);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on("close", (...how) => {
      resolve(how);
    });
  });
  clearTimeout(limit);
  const line = output.split("\n").find((candidate) => candidate.startsWith('{"event":"shutdown"')) ?? "{}";
  return { code, signal, ms: performance.now() - begun, output, report: JSON.parse(line) as Ending["report"] };
}

test("hooks run last registered first, each after the one before, and the process dies of the signal it got", async () => {
  const { report, signal, output } = await end(`
    onShutdown("first", () => console.log("first runs"));
    onShutdown("second", async () => { await new Promise((done) => setTimeout(done, 20)); console.log("second done"); });
  `);
  expect(report.hooks.map(({ name, result }) => [name, result])).toEqual([
    ["second", "done"],
    ["first", "done"],
  ]);
  expect(output.indexOf("second done")).toBeLessThan(output.indexOf("first runs"));
  expect(signal).toBe("SIGTERM");
});

test("a hook that throws, and one that rejects, are reported and hurt nobody", async () => {
  const { report, signal, output } = await end(`
    onShutdown("fine", () => undefined);
    onShutdown("throws", () => { throw new Error("at once"); });
    onShutdown("rejects", () => Promise.reject(new Error("later")));
  `);
  expect(report.hooks.map(({ name, result, error }) => [name, result, error])).toEqual([
    ["rejects", "failed", "later"],
    ["throws", "failed", "at once"],
    ["fine", "done", undefined],
  ]);
  expect(signal).toBe("SIGTERM");
  expect(output).not.toContain("UnhandledPromiseRejection");
});

test("a hook that never settles costs the others nothing, and is given up before the budget is over", async () => {
  const { report, ms, output } = await end(
    `
    onShutdown("later", () => undefined);
    onShutdown("stuck", ({ signal, remainingMs }) => new Promise(() => {
      console.log("has", remainingMs() > 100 && remainingMs() <= 350);
      signal.addEventListener("abort", () => console.log("aborted with", remainingMs()));
    }));
  `,
    ["SIGTERM"],
    { env: { SHUTDOWN_BUDGET_MS: "400" } },
  );
  expect(report.hooks.map(({ name, result }) => [name, result])).toEqual([
    ["stuck", "gave up"],
    ["later", "done"],
  ]);
  expect(output).toContain("has true");
  expect(output).toContain("aborted with 0");
  expect(ms).toBeGreaterThan(300);
  expect(report.durationMs).toBeLessThan(400);
});

test("a hook may resolve with anything: what is no plain value stays out of the line", async () => {
  const { report } = await end(`
    const circular: { self?: unknown; count: number } = { count: 1 };
    circular.self = circular;
    onShutdown("circular", () => circular);
    onShutdown("instance", () => new (class Server { port = 1; })());
    onShutdown("liar", () => ({ name: "another", result: "failed", rows: 2n, text: "ok" }));
  `);
  expect(report.hooks).toEqual([
    { name: "liar", result: "done", ms: expect.any(Number) as number, text: "ok" },
    { name: "instance", result: "done", ms: expect.any(Number) as number },
    { name: "circular", result: "done", ms: expect.any(Number) as number, count: 1 },
  ]);
});

test("on request the same line is one that CloudWatch reads metrics from", async () => {
  const hook = `onShutdown("db", () => ({ closed: 2, note: "text" })); onShutdown("fails", () => { throw new Error(); });`;
  const plain = await end(hook);
  expect(plain.report).not.toHaveProperty("_aws");
  const env = { SHUTDOWN_METRICS_NAMESPACE: "Shutdown", AWS_LAMBDA_FUNCTION_NAME: "orders" };
  const { report } = await end(hook, ["SIGTERM"], { env });
  expect(report).toMatchObject({
    functionName: "orders",
    db_closed: 2,
    hooksNotDone: 1,
    hooks: plain.report.hooks.map(() => ({})),
  });
  const { Timestamp, CloudWatchMetrics } = (report as unknown as { _aws: Record<string, unknown> })._aws;
  expect(Math.abs(Number(Timestamp) - Date.now())).toBeLessThan(60_000);
  // Every name and dimension has to be a member of the line itself, and a number where it is a metric.
  expect(CloudWatchMetrics).toEqual([
    {
      Namespace: "Shutdown",
      Dimensions: [["functionName"]],
      Metrics: [
        { Name: "durationMs", Unit: "Milliseconds" },
        { Name: "hooksNotDone", Unit: "Count" },
        { Name: "db_closed", Unit: "Count" },
      ],
    },
  ]);
});

test("a second SIGTERM changes nothing", async () => {
  const { report, output } = await end(
    `onShutdown("slow", async () => { await new Promise((done) => setTimeout(done, 100)); console.log("slow done"); });`,
    ["SIGTERM", "SIGTERM"],
  );
  expect(report.hooks).toMatchObject([{ name: "slow", result: "done" }]);
  expect(output.split("slow done")).toHaveLength(2);
});

test("outside Lambda Ctrl-C does the same; inside it nothing listens to SIGINT", async () => {
  const outside = await end(`onShutdown("hook", () => undefined);`, ["SIGINT"]);
  expect(outside.report).toMatchObject({ signal: "SIGINT", hooks: [{ name: "hook" }] });
  const inside = await end(`onShutdown("hook", () => undefined);`, ["SIGINT"], {
    env: { AWS_LAMBDA_RUNTIME_API: "127.0.0.1:1" },
  });
  expect(inside.report).toEqual({});
  expect(inside.signal).toBe("SIGINT");
});

test("two copies of the module share one list and one listener", async () => {
  const copy = join(folder, "copy.ts");
  copyFileSync(SHUTDOWN, copy);
  copyFileSync(join(SHUTDOWN, "../metrics.ts"), join(folder, "metrics.ts"));
  const { report, output } = await end(`
    import { onShutdown as other } from ${JSON.stringify(copy)};
    onShutdown("one", () => undefined);
    other("other", () => undefined);
    console.log("listeners", process.listenerCount("SIGTERM"), other === onShutdown);
  `);
  expect(output).toContain("listeners 1 false");
  expect(report.hooks.map(({ name }) => name)).toEqual(["other", "one"]);
});

// The kernel drops a signal with the default action that PID 1 sends itself; only Linux has PID namespaces.
(process.platform === "linux" ? test : test.skip)(
  "it ends a process that is PID 1 as well (Linux only: PID namespaces)",
  async () => {
    const wrapper = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    const program = `onShutdown("hook", () => console.log("I am", process.pid));`;
    // The signal has to come from outside the namespace, to the child of unshare, whose number only the program knows.
    const { output, ms } = await end(`${program} setTimeout(() => process.emit("SIGTERM", "SIGTERM"), 50);`, [], {
      wrapper,
    });
    expect(output).toContain("I am 1");
    expect(ms).toBeLessThan(5_000);
  },
);
