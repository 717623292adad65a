/** Other people's code in the Shutdown phase. */
import { end } from "./program.ts";

/** A hook that takes a while, as a connection to the database does, and says whether it came to its end. */
const HOOK = `onShutdown("mysql", async () => { await new Promise((done) => setTimeout(done, 30)); return { closed: 1 }; });`;

/** What its listener may do, and what the line says of it. */
const ENDS: readonly (readonly [body: string, heldBack: object])[] = [
  ["() => process.exit(3)", { what: "process.exit(3)" }],
  ["() => process.reallyExit(3)", { what: "process.reallyExit(3)" }],
  ["() => process.abort()", { what: "process.abort()" }],
  ['() => process.kill(process.pid, "SIGKILL")', { what: "process.kill(process.pid, SIGKILL)" }],
  ["() => process.kill(process.pid)", { what: "process.kill(process.pid, SIGTERM)" }],
  ["() => process.kill(0, 9)", { what: "process.kill(process.pid, 9)" }],
  ['() => { throw new TypeError("foreign") }', { what: "uncaughtException", error: "TypeError: foreign" }],
  ['() => { throw "a secret" }', { what: "uncaughtException", error: "threw a string" }],
  ['async () => { throw new Error("foreign") }', { what: "unhandledRejection", error: "Error: foreign" }],
  ["() => Promise.reject(undefined)", { what: "unhandledRejection", error: "threw undefined" }],
  [
    '() => void setTimeout(() => { throw new Error("later") }, 5)',
    { what: "uncaughtException", error: "Error: later" },
  ],
  ["() => void setTimeout(() => process.exit(), 5)", { what: "process.exit()" }],
  ["() => { process.exitCode = 7 }", { what: "process.exitCode = 7" }],
];

const EXPECTED = { hooks: [{ name: "mysql", result: "done", closed: 1 }] };

test.each(ENDS)("a foreign listener, %s", async (body, heldBack) => {
  const { report, signal } = await end(`${HOOK} process.on("SIGTERM", ${body});`);
  expect(report).toMatchObject({ ...EXPECTED, level: "WARN", heldBack: [heldBack] });
  expect(signal).toBe("SIGTERM");
});

/** Each is tried with a listener that throws, since nobody behind it in the list is called. */
test.each([
  ["on", `process.on("SIGTERM", throws);`],
  ["once", `process.once("SIGTERM", throws);`],
  ["prependListener", `process.prependListener("SIGTERM", throws);`],
  ["prependListener, later", `setTimeout(() => process.prependListener("SIGTERM", throws), 1);`],
  ["prependOnceListener", `process.prependOnceListener("SIGTERM", throws);`],
  ["on, everybody else's removed", `process.removeAllListeners("SIGTERM"); process.on("SIGTERM", throws);`],
  [
    "prependListener, the others put behind it",
    `const others = process.listeners("SIGTERM");
    others.forEach((other) => process.off("SIGTERM", other));
    process.on("SIGTERM", throws);
    others.forEach((other) => process.on("SIGTERM", other));`,
  ],
])("however a foreign listener is registered, ours is called first: %s", async (_, register) => {
  const foreign = `const throws = () => { throw new Error("foreign"); }; ${register}`;
  const wait = `await new Promise((done) => setTimeout(done, 5));`; // for what comes later
  const endings = [
    await end(HOOK, ["SIGTERM"], { before: foreign }),
    await end(
      `${HOOK} ${foreign} (async () => { ${wait} console.log("count", process.listenerCount("SIGTERM")); })();`,
    ),
  ];
  for (const { report, signal } of endings) {
    expect(report).toMatchObject({ ...EXPECTED, heldBack: [{ what: "uncaughtException", error: "Error: foreign" }] });
    expect(signal).toBe("SIGTERM");
  }
});

test("a library that removes all listeners keeps no connection open either", async () => {
  const { report, signal } = await end(`${HOOK} process.removeAllListeners("SIGTERM");`);
  expect(report).toMatchObject(EXPECTED);
  expect(signal).toBe("SIGTERM");
});

test("functions that were taken out of process earlier are also held back", async () => {
  const { report, signal, output } = await end(
    `${HOOK}
    const { exit, kill } = process;
    process.on("SIGTERM", () => exit(1));
    process.on("SIGTERM", () => kill(process.pid, "SIGKILL"));
    process.on("SIGTERM", () => process.nextTick(() => console.log("ticks go on")));`,
  );
  expect(report).toMatchObject(EXPECTED);
  expect(report.heldBack?.map(({ what }) => what)).toEqual([
    "process.reallyExit(1)",
    "process.kill(process.pid, 9)",
    "process.exitCode = 1",
  ]);
  expect(output).toContain("ticks go on");
  expect(signal).toBe("SIGTERM");
});

test("other listeners that end the process on errors are not called", async () => {
  const { report, signal, output } = await end(
    `${HOOK}
    process.on("uncaughtException", () => { console.log("asked"); process.exit(129); });
    process.on("unhandledRejection", () => { console.log("asked"); process.exit(128); });
    process.on("uncaughtExceptionMonitor", () => { throw new Error("worse"); });
    process.on("SIGTERM", () => {
      process.on("uncaughtException", () => { throw new Error("even worse"); });
      process.on("unhandledRejection", () => { throw new Error("even worse"); });
      void Promise.reject(new Error("nobody awaits me"));
      throw new Error("nobody catches me");
    });`,
  );
  expect(report).toMatchObject(EXPECTED);
  expect(report.heldBack).toEqual(
    expect.arrayContaining([
      { what: "uncaughtException", error: "Error: nobody catches me" },
      { what: "unhandledRejection", error: "Error: nobody awaits me" },
    ]),
  );
  expect(output).not.toContain("asked");
  expect(signal).toBe("SIGTERM");
});

test.each([
  ["the capture callback of another", `process.setUncaughtExceptionCaptureCallback(() => process.exit(1));`, ""],
  ["the module domain", `import "node:domain";`, ""],
  ["the removal of the capture callback", "", "process.setUncaughtExceptionCaptureCallback(null);"],
])("%s does not end the process", async (_, before, statement) => {
  const listener = `process.on("SIGTERM", () => { ${statement} throw new Error("foreign"); });`;
  const { report, signal } = await end(`${HOOK} ${listener}`, ["SIGTERM"], { before });
  expect(report).toMatchObject({ ...EXPECTED, heldBack: [{ what: "uncaughtException", error: "Error: foreign" }] });
  expect(signal).toBe("SIGTERM");
});

test("a statement that nobody awaits, and that the hook rejects, does not end the process", async () => {
  const { report, signal } = await end(`
    let refuse = (error: Error): void => undefined;
    void new Promise((_, reject) => (refuse = reject));
    onShutdown("mysql", async () => {
      refuse(new Error("the execution environment is shutting down"));
      await new Promise((done) => setTimeout(done, 30));
      return { closed: 1 };
    });
  `);
  expect(report).toMatchObject({
    ...EXPECTED,
    heldBack: [{ what: "unhandledRejection", error: "Error: the execution environment is shutting down" }],
  });
  expect(signal).toBe("SIGTERM");
});

test("the line stays short, whatever is held back and however often", async () => {
  const { report } = await end(`${HOOK}
    process.on("SIGTERM", () => { for (let i = 0; i < 1000; i++) process.exit("x".repeat(1000) as never); });
    onShutdown("long", () => void Promise.reject(new Error("m".repeat(10_000))));
  `);
  expect(report.heldBack).toHaveLength(11);
  expect(report.heldBack?.at(-1)).toEqual({ what: "991 more" });
  expect(JSON.stringify(report).length).toBeLessThan(2_000);
});

test("kill reaches other processes, and asks whether one lives, as always", async () => {
  const { report, output } = await end(`${HOOK}
    import { spawn } from "node:child_process";
    const child = spawn("sleep", ["60"]);
    child.on("exit", (_, signal) => console.log("child ended by", signal));
    process.on("SIGTERM", () => console.log("lives", process.kill(process.pid, 0), process.kill(child.pid!, "SIGINT")));
  `);
  expect(output).toContain("lives true true");
  expect(output).toContain("child ended by SIGINT");
  expect(report).not.toHaveProperty("heldBack");
});

test("outside the Shutdown phase nothing is touched", async () => {
  const before = `globalThis.before = [process.exit, process.reallyExit, process.abort, process.kill, process._kill];`;
  const { output } = await end(
    `${HOOK}
    const after = [process.exit, process.reallyExit, process.abort, process.kill, process._kill];
    const counts = ["SIGTERM", "uncaughtException", "unhandledRejection", "uncaughtExceptionMonitor"];
    console.log("same", after.every((method, i) => method === globalThis.before[i]), after.length);
    console.log("listeners", counts.map((event) => process.listenerCount(event)).join());
    console.log("captured", process.hasUncaughtExceptionCaptureCallback());
    process.on("SIGTERM", () => console.log("then", process.exit === globalThis.before[0]));`,
    ["SIGTERM"],
    { before },
  );
  expect(output).toContain("same true 5\nlisteners 1,0,0,0\ncaptured false\n");
  expect(output).toContain("then false");
});

test("listeners after one that throws do not run, those before it do", async () => {
  const { report, output } = await end(`
    process.on("SIGTERM", () => console.log("flushed"));
    ${HOOK}
    process.on("SIGTERM", () => { throw new Error("foreign"); });
  `);
  expect(output).toContain("flushed");
  expect(report).toMatchObject(EXPECTED);
});
