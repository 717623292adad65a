/** The line at the end: what may stand in it, how it passes Lambda's filter, and what a broken log costs. */
import { end } from "./program.ts";

const HOOK = `onShutdown("db", () => ({ closed: 2 }));`;
const FAILS = `onShutdown("fails", () => { throw new Error("why"); });`;

describe("Lambda's log level", () => {
  const RANK = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

  test.each([
    ["INFO", HOOK, "INFO"],
    ["DEBUG", HOOK, "INFO"],
    ["WARN", HOOK, "WARN"],
    ["ERROR", HOOK, "ERROR"],
    ["FATAL", HOOK, "FATAL"],
    ["INFO", FAILS, "WARN"],
    ["TRACE", FAILS, "WARN"],
    ["ERROR", FAILS, "ERROR"],
    [undefined, HOOK, "INFO"],
    ["nonsense", FAILS, "WARN"],
  ])("%s: the line is kept, and so are its metrics", async (AWS_LAMBDA_LOG_LEVEL, hook, level) => {
    const env = { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL, SHUTDOWN_METRICS_NAMESPACE: "Shutdown" };
    const { report } = await end(hook, ["SIGTERM"], { env });
    expect(report).toMatchObject({ level, _aws: { CloudWatchMetrics: [{ Namespace: "Shutdown" }] } });
    // Lambda's rule: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    expect(RANK.indexOf(report.level)).toBeGreaterThanOrEqual(RANK.indexOf(AWS_LAMBDA_LOG_LEVEL ?? "INFO"));
    expect(report.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Math.abs(Date.parse(report.timestamp) - Date.now())).toBeLessThan(60_000);
  });
});

test("results and errors of hooks are shortened, and never prevent the line", async () => {
  const { report, signal } = await end(
    `
    onShutdown("huge", () => ({ text: "x".repeat(1_000_000), ["k".repeat(1_000_000)]: 1 }));
    onShutdown("wide", () => Object.fromEntries(Array.from({ length: 1000 }, (_, i) => ["f" + i, i])));
    onShutdown("getters", () => ({ get bad() { throw new Error("getter"); }, good: 1 }));
    onShutdown("proxy", () => new Proxy({}, { ownKeys: () => { throw new Error("trap"); } }));
    onShutdown("bare", () => Object.assign(Object.create(null), { good: 1 }));
    onShutdown("no JSON", () => ({ big: 1n, nan: NaN, inf: Infinity, date: new Date(), nested: {}, toJSON: () => "x" }));
    onShutdown("throws text", () => { throw "a secret"; });
    onShutdown("throws nothing", () => Promise.reject());
    onShutdown("throws a trap", () => { throw new Proxy({}, { get: () => { throw new Error("trap"); } }); });
    onShutdown("throws much", () => { throw new Error("m".repeat(1_000_000)); });
    onShutdown("n".repeat(1_000_000), () => undefined);
  `,
    ["SIGTERM"],
    { env: { SHUTDOWN_METRICS_NAMESPACE: "Shutdown" } },
  );
  expect(signal).toBe("SIGTERM");
  const hooks = Object.fromEntries(report.hooks.map(({ name, ...rest }) => [name.slice(0, 20), rest]));
  const ms = expect.any(Number) as number;
  expect(hooks).toMatchObject({
    huge: { result: "done", text: expect.stringMatching(/^x{199}…$/) as string },
    wide: { result: "done", f0: 0 },
    "throws text": { result: "failed", error: "threw a string" },
    "throws nothing": { result: "failed", error: "threw undefined" },
    "throws a trap": { result: "failed", error: "threw an object" },
    "throws much": { result: "failed", error: expect.stringMatching(/^m{199}…$/) as string },
  });
  expect(hooks["getters"]).toEqual({ result: "done", ms, good: 1 });
  expect(hooks["proxy"]).toEqual({ result: "done", ms });
  expect(hooks["bare"]).toEqual({ result: "done", ms, good: 1 });
  expect(hooks["no JSON"]).toEqual({ result: "done", ms });
  expect(JSON.stringify(report).length).toBeLessThan(20_000);
});

test("many hooks do not make a line that CloudWatch refuses", async () => {
  const { report } = await end(
    `for (let i = 0; i < 5000; i++) onShutdown("hook" + i, () => ({ a: 1, b: 2, c: 3 }));`,
    ["SIGTERM"],
    { env: { SHUTDOWN_METRICS_NAMESPACE: "Shutdown" } },
  );
  expect(report.hooks).toHaveLength(50);
  expect(report).toMatchObject({ hooksNotShown: 4950 });
  const { CloudWatchMetrics } = (report as unknown as { _aws: { CloudWatchMetrics: { Metrics: unknown[] }[] } })._aws;
  expect(CloudWatchMetrics[0]?.Metrics).toHaveLength(100);
});

test.each([
  ["has ended its stream", `process.stdout.end();`],
  ["writes in its place, and throws", `process.stdout.write = () => { throw new Error("patched"); };`],
  ["writes in its place, and keeps it", `process.stdout.write = () => true;`],
])("the line is written if somebody %s", async (_, body) => {
  const { report, signal } = await end(`${HOOK} process.on("SIGTERM", () => { ${body} });`);
  expect(report.hooks).toHaveLength(1);
  expect(signal).toBe("SIGTERM");
});

test("a closed log neither crashes nor delays the end", async () => {
  const { signal, ms } = await end(
    `${HOOK} process.on("SIGTERM", () => console.log("more".repeat(50_000)));`,
    ["SIGTERM"],
    {
      closeOutput: true,
    },
  );
  expect(signal).toBe("SIGTERM");
  expect(ms).toBeLessThan(250);
});
