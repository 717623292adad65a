import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { end, folder, SHUTDOWN } from "./program.ts";

test("all hooks start in the turn that hears the signal, last registered first, and the process dies of that signal", async () => {
  const { report, signal, output } = await end(`
    let turn = 0;
    setInterval(() => (turn += 1), 0);
    let heard = -1;
    process.prependListener("SIGTERM", () => (heard = turn));
    onShutdown("blocks", () => console.log("first registered starts", turn - heard));
    onShutdown("slow", async () => {
      heard = turn;
      console.log("last registered starts");
      await new Promise((done) => setTimeout(done, 20));
      console.log("slow done");
    });
  `);
  expect(report.hooks.map(({ name, result }) => [name, result])).toEqual([
    ["slow", "done"],
    ["blocks", "done"],
  ]);
  expect(output.match(/^.*(starts|done).*$/gm)?.slice(0, 3)).toEqual([
    "last registered starts",
    "first registered starts 0",
    "slow done",
  ]);
  expect(signal).toBe("SIGTERM");
});

test("each hook starts although the handler blocks the event loop from the signal on", async () => {
  const { report, ms } = await end(
    `
    const block = (ms: number): void => { for (const end = Date.now() + ms; Date.now() < end; ) continue; };
    const slice = (): void => { block(150); setImmediate(slice); };
    process.on("SIGTERM", () => setImmediate(slice));
    onShutdown("mysql", () => ({ startedAt: Math.round(performance.now() - heard) }));
    onShutdown("slow", () => new Promise(() => undefined));
    onShutdown("slower", () => new Promise(() => undefined));
    let heard = 0;
    process.prependListener("SIGTERM", () => (heard = performance.now()));
    onShutdown("hears", () => void (heard = performance.now()));
  `,
  );
  expect(report.hooks).toContainEqual(expect.objectContaining({ name: "mysql", result: "done" }));
  const { startedAt } = report.hooks.find(({ name }) => name === "mysql") as unknown as { startedAt: number };
  expect(startedAt).toBeLessThan(50);
  expect(ms).toBeLessThan(1_000);
});

describe("a hook that names another in `before`", () => {
  test("has settled when the other starts", async () => {
    const { output, report } = await end(`
      onShutdown("mysql", () => console.log("mysql starts"));
      onShutdown("queue", async () => {
        await new Promise((done) => setTimeout(done, 20));
        console.log("queue done");
      }, { before: "mysql" });
    `);
    expect(output.indexOf("queue done")).toBeGreaterThan(0);
    expect(output.indexOf("queue done")).toBeLessThan(output.indexOf("mysql starts"));
    expect(report.hooks.map(({ name, result }) => [name, result])).toEqual([
      ["queue", "done"],
      ["mysql", "done"],
    ]);
  });

  test("and hangs: the other starts when half of the time is over", async () => {
    const { report } = await end(
      `
      onShutdown("mysql", ({ remainingMs }) => ({ hasMs: remainingMs() }));
      onShutdown("queue", () => new Promise(() => undefined), { before: ["mysql"] });
    `,
      ["SIGTERM"],
      { env: { SHUTDOWN_BUDGET_MS: "450" } },
    );
    const [queue, mysql] = report.hooks;
    expect(queue).toMatchObject({ name: "queue", result: "gave up" });
    expect(mysql).toMatchObject({ name: "mysql", result: "done" });
    expect((mysql as unknown as { hasMs: number }).hasMs).toBeGreaterThan(100);
    expect((mysql as unknown as { hasMs: number }).hasMs).toBeLessThanOrEqual(201);
  });

  test("and is named itself by the other: neither waits for ever", async () => {
    const { report } = await end(`
      onShutdown("a", () => undefined, { before: "b" });
      onShutdown("b", () => undefined, { before: "a" });
      onShutdown("c", () => undefined, { before: "c" });
    `);
    expect(report.hooks.map(({ name, result }) => `${name} ${result}`).sort()).toEqual(["a done", "b done", "c done"]);
  });
});

test("a hook that is registered while the hooks run starts as well, one that comes later does not", async () => {
  const { report, signal, output } = await end(`
    onShutdown("running", async () => {
      onShutdown("late", () => ({ ran: true }));
      await new Promise((done) => setTimeout(done, 10));
    });
    process.on("SIGTERM", () => onShutdown("from a listener", () => ({ ran: true })));
    const { write } = process.stdout;
    process.stdout.write = function (...args) {
      if (String(args[0]).includes('"shutdown"')) onShutdown("too late", () => console.log("too late ran"));
      return Reflect.apply(write, this, args);
    };
  `);
  expect(report.hooks).toMatchObject([
    { name: "running", result: "done" },
    { name: "late", result: "done", ran: true },
    { name: "from a listener", result: "done", ran: true },
  ]);
  expect(output).not.toContain("too late ran");
  expect(signal).toBe("SIGTERM");
});

test.each([
  [`onShutdown(undefined as never, () => 0)`, "onShutdown(undefined): the name is of type undefined, not a string"],
  [`onShutdown("a", undefined as never)`, 'onShutdown("a"): the hook is of type undefined, not a function'],
  [`onShutdown("a", () => 0, { before: [1] as never })`, 'onShutdown("a"): "before" is not a name'],
])("%s is refused at once", async (call, message) => {
  const { output } = await end(`try { ${call}; } catch (error) { console.log(String(error)); }`);
  expect(output).toContain(`TypeError: ${message}`);
});

test("no budget makes Node.js warn of a timer", async () => {
  for (const SHUTDOWN_BUDGET_MS of ["1e12", "-5", "1", "x", "0.1"]) {
    const { output, signal } = await end(`onShutdown("hook", () => undefined);`, ["SIGTERM"], {
      env: { SHUTDOWN_BUDGET_MS },
    });
    expect(output).not.toContain("Warning");
    expect(signal).toBe("SIGTERM");
  }
});

test("a hook that throws and one that rejects are reported, and the others run", async () => {
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

test("a hook may resolve with anything: only plain values go into the line", async () => {
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

test("on request CloudWatch can read metrics from the same line", async () => {
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
  const copy = join(folder, "copy.mjs");
  copyFileSync(SHUTDOWN, copy);
  const { report, output } = await end(`
    import { onShutdown as other } from ${JSON.stringify(copy)};
    onShutdown("one", () => undefined);
    other("other", () => undefined);
    console.log("listeners", process.listenerCount("SIGTERM"), other === onShutdown);
  `);
  expect(output).toContain("listeners 1 false");
  expect(report.hooks.map(({ name }) => name)).toEqual(["other", "one"]);
});

// The kernel drops a signal with the default action that PID 1 sends itself.
if (process.platform === "linux") {
  test("it ends a process that is PID 1 as well", async () => {
    const wrapper = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    const program = `onShutdown("hook", () => console.log("I am", process.pid));`;
    // The signal has to come from outside the namespace, to the child of unshare, whose number only the program knows.
    const { output, ms } = await end(`${program} setTimeout(() => process.emit("SIGTERM", "SIGTERM"), 50);`, [], {
      wrapper,
    });
    expect(output).toContain("I am 1");
    expect(ms).toBeLessThan(5_000);
  });
} else {
  test("not tested: the end of a process that is PID 1, which takes a PID namespace of Linux", () => {
    console.warn("not tested: the end of a process that is PID 1, which takes a PID namespace of Linux");
  });
}

describe("many hooks", () => {
  test("5,000 run in time, and a warning says so at the hundredth", async () => {
    const { report, output, signal } = await end(
      `for (let i = 0; i < 5_000; i += 1) onShutdown("mysql", async () => { count += 1; }, { before: "queue" });
      let count = 0;
      onShutdown("queue", () => console.log("after", count));`,
      ["SIGTERM"],
      { env: { SHUTDOWN_BUDGET_MS: "2000" } },
    );
    expect(report).toMatchObject({ level: "INFO", hooksNotShown: 4_951 });
    expect(output).toContain('"code":"ERR_LGS_MANY_HOOKS"');
    expect(output).toContain("after 5000");
    expect(signal).toBe("SIGTERM");
  });

  test("a hook that registers the next one without end does not keep the line away", async () => {
    const { report, signal } = await end(`const again = () => onShutdown("again", again); onShutdown("again", again);`);
    expect(report.hooks).toHaveLength(50);
    expect(signal).toBe("SIGTERM");
  });

  test("of one name keep their metrics apart", async () => {
    const { report } = await end(
      `onShutdown("db", () => ({ closed: 1 })); onShutdown("db", () => ({ closed: 2 })); onShutdown("db_a", () => ({ b: 3 }));
      onShutdown("db", () => ({ a_b: 4 })); onShutdown("db#2", () => 0);`,
      ["SIGTERM"],
      { env: { SHUTDOWN_METRICS_NAMESPACE: "Shutdown" } },
    );
    expect(report.hooks.map(({ name }) => name)).toEqual(["db#2#2", "db#3", "db_a", "db#2", "db"]);
    expect(report).toMatchObject({ db_closed: 1, "db#2_closed": 2, db_a_b: 3, "db#3_a_b": 4 });
  });
});

test("the line tells a name in `before` that no hook has", async () => {
  const { report } = await end(
    `onShutdown("queue", () => 0, { before: ["mysqll", "db"] }); onShutdown("db", () => 0);`,
  );
  expect(report).toMatchObject({ level: "WARN", hooks: [{ name: "queue", unknownBefore: "mysqll" }, { name: "db" }] });
});

test.each([
  ["promises", `(async () => { for (;;) await refused().catch(() => 0); })()`],
  ["ticks", `(function again() { process.nextTick(again); })()`],
])("a caller that loops over refusals, in %s, does not keep the line away", async (_, loop) => {
  const { report, signal, ms } = await end(`
    const refused = () => Promise.reject(new Error("refused"));
    onShutdown("mysql", async () => { await new Promise((done) => setTimeout(done, 1)); return { closed: 1 }; });
    process.on("SIGTERM", () => { ${loop}; });
  `);
  expect(report.hooks).toMatchObject([{ name: "mysql", result: "gave up" }]);
  expect(signal).toBe("SIGTERM");
  expect(ms).toBeLessThan(1_000);
});

test.each([
  ["1,000 ms", undefined, 1_000],
  ["that of SHUTDOWN_BUDGET_MS", "400", 400],
])("in a Web Function the budget is %s, and metrics need no function name", async (_, setting, budgetMs) => {
  const env = { AWS_LAMBDA_INITIALIZATION_TYPE: "native-http", SHUTDOWN_METRICS_NAMESPACE: "Shutdown" };
  const { report } = await end(`onShutdown("db", () => ({ closed: 1 }));`, ["SIGTERM"], {
    env: { ...env, SHUTDOWN_BUDGET_MS: setting },
  });
  expect(report).toMatchObject({ budgetMs, db_closed: 1, _aws: { CloudWatchMetrics: [{ Dimensions: [[]] }] } });
});

test("an import alone changes nothing", async () => {
  const { output, signal } = await end(`console.log("listeners", process.listenerCount("SIGTERM"));`);
  expect(output).toContain("listeners 0");
  expect(signal).toBe("SIGTERM");
});
