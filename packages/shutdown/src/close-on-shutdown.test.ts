/** Fake pools that close as their drivers do. packages/lab/runs/close-on-shutdown.test.ts has the real ones. */
import { closeOnShutdown } from "./close-on-shutdown.ts";
import { end } from "./program.ts";

const later = `const later = (ms = 5) => new Promise((done) => setTimeout(done, ms));`;

/** What is passed, and the hook's entry in the line. */
const POOLS: readonly (readonly [what: string, pool: string, entry: object])[] = [
  [
    "a mysql2 connection whose end() resolves with an error",
    `({ connection: { promise() {} }, end: async () => new Error("lost") })`,
    { name: "mysql2", result: "failed", error: "lost" },
  ],
  [
    "a mysql2 pool without promises",
    `({ promise() {}, query() {}, _allConnections: { length: 2 }, end(done) { setTimeout(done, 5); } })`,
    { name: "mysql2", result: "done", closed: 2, givenUp: 0 },
  ],
  [
    "a mysql pool that fails",
    `({ escapeId() {}, query() {}, _allConnections: [1], end(done) { setTimeout(done, 5, new Error("refused")); } })`,
    { name: "mysql", result: "failed", error: "refused" },
  ],
  [
    "a mariadb pool",
    `({ totalConnections: () => 4, escapeId() {}, query() {}, end: () => later() })`,
    { name: "mariadb", result: "done", closed: 4, givenUp: 0 },
  ],
  [
    "postgres.js",
    `const sql = () => 0; sql.unsafe = () => 0; sql.end = ({ timeout }) => later().then(() => { if (!(timeout > 0.1 && timeout <= 0.3)) throw new Error("timeout " + timeout); });
sql`,
    { name: "postgres", result: "done" },
  ],
  [
    "a TypeORM data source that is not open",
    `({ isInitialized: false, destroy: () => Promise.reject(new Error("not connected")) })`,
    { name: "typeorm", result: "done" },
  ],
  ["pg-promise", `({ $pool: { totalCount: 2, end: () => later() } })`, { name: "pg-promise", closed: 2 }],
  ["Kysely", `({ selectFrom() {}, destroy: () => later() })`, { name: "kysely", result: "done" }],
  [
    "MikroORM",
    `({ em: {}, async close(force) { if (force) throw new Error("forced"); } })`,
    { name: "mikro-orm", result: "done" },
  ],
  [
    "MongoClient",
    `({ db() {}, async close(force = false) { if (force) throw new Error("forced"); } })`,
    { name: "mongodb", result: "done" },
  ],
  ["mongoose", `({ models: {}, async disconnect() { await later(); } })`, { name: "mongoose", result: "done" }],
  [
    "ioredis before it has connected",
    `({ status: "connecting", quit: () => later(5_000), disconnect() {} })`,
    { name: "ioredis", result: "done", closed: 0, givenUp: 0 },
  ],
  ["redis 4", `({ isOpen: true, quit: () => later() })`, { name: "redis", result: "done", closed: 1, givenUp: 0 }],
  [
    "ioredis with a command that waits for ever",
    `let fail;
({ status: "ready", quit: () => new Promise((_, no) => (fail = no)), disconnect: () => setTimeout(fail, 1, new Error("closed")) })`,
    { name: "ioredis", result: "done", closed: 1, givenUp: 0 },
  ],
  [
    "a pg pool whose connection was not released",
    `({ totalCount: 1, _clients: [{ readyForQuery: true, end: () => later() }], end: () => later(5_000) })`,
    { name: "pg", result: "done", closed: 1, givenUp: 0 },
  ],
  [
    "a mysql2 pool that the function is ending",
    `({ pool: { _allConnections: { length: 1 }, _closed: true }, end: () => Promise.reject(new Error("closed state")) })`,
    { name: "mysql2", result: "done", closed: 0, givenUp: 0 },
  ],
  [
    "a pg pool that the function has ended",
    `({ totalCount: 0, ending: true, end: () => Promise.reject(new Error("Called end on pool more than once")) })`,
    { name: "pg", result: "done", closed: 0, givenUp: 0 },
  ],
  ["a callback", `({ close(done) { setTimeout(done, 5); } })`, { name: "close", result: "done" }],
  [
    "an event",
    `import { EventEmitter } from "node:events";
Object.assign(new EventEmitter(), { end() { setTimeout(() => this.emit("close"), 5); } })`,
    { name: "end", result: "done" },
  ],
  [
    "a method that throws",
    `({ end() { throw new Error("at once"); } })`,
    { name: "end", result: "failed", error: "at once" },
  ],
  ["a client that hangs", `({ end: () => later(5_000) })`, { name: "end", result: "gave up" }],
];

test.each(POOLS)("%s", async (_, pool, entry) => {
  const [value = "", ...statements] = pool.split("\n").reverse();
  const { report, signal } = await end(
    `${later} ${statements.join(";\n")};
    const value = ${value};
    if (closeOnShutdown(value) !== value) throw new Error("not the same");`,
  );
  expect(report.hooks).toMatchObject([entry]);
  expect(signal).toBe("SIGTERM");
});

test.each([
  [undefined, "the value is undefined, which has none of the methods"],
  ["mysql://host", "the value is string, which has none of the methods"],
  [new Map(), "the value is Map, which has none of the methods"],
  [Promise.resolve({ end: () => 0 }), "the value is a promise: await it first"],
  [
    Object.assign(() => 0, { listen: () => 0 }),
    "the value is an application: pass the server that its listen() returns",
  ],
])("%p is refused, and the error tells what to pass", (value, message) => {
  const refused = (): unknown => closeOnShutdown(value as never);
  expect(refused).toThrow(expect.objectContaining({ code: "ERR_LGS_NOT_CLOSABLE" }) as Error);
  expect(refused).toThrow(message);
});

test("the options name the hook and those that wait for it", async () => {
  const { report } = await end(
    `${later} const pool = { end: () => later(20) };
    closeOnShutdown({ end: () => 0 }, { name: "primary" });
    closeOnShutdown(pool, { name: "replica", before: "primary" });`,
  );
  expect(report.hooks.map(({ name }) => name)).toEqual(["replica", "primary"]);
});

test("a pool that is passed twice, or with the client that holds it, is closed once", async () => {
  const { report } = await end(`const pool = { totalCount: 1, end: async () => 0 };
    for (const value of [pool, pool, { $client: pool }]) closeOnShutdown(value);`);
  expect(report.hooks).toMatchObject([{ name: "pg", result: "done", closed: 1 }]);
});

describe("an HTTP server", () => {
  const SERVER = `${later} import { createServer, request, Agent } from "node:http"; import { once } from "node:events";
    const server = createServer((req, res) => { res.on("finish", () => console.log("answered")); setTimeout(() => res.end("answer"), Number(req.url.slice(1))); });
    closeOnShutdown({ totalCount: 1, end: async () => { console.log("pool ends"); await later(20); } });
    closeOnShutdown(server).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    const get = (ms) => new Promise((done) => request({ port, host: "127.0.0.1", path: "/" + ms, agent: new Agent({ keepAlive: true }) },
      (res) => { let text = ""; res.on("data", (c) => (text += c)).on("close", () => { console.log("got", text, res.headers.connection); done(); }); })
      .on("error", (error) => { console.log("lost", error.code); done(); }).end());`;

  test("ends requests in flight, then pools close", async () => {
    const { output, report } = await end(
      `${SERVER} await get(0); void get(100); void get(60); await new Promise((d) => setTimeout(d, 30));`,
    );
    expect(report.hooks).toMatchObject([
      { name: "server", result: "done", answered: 2, cut: 0 },
      { name: "pg", result: "done" },
    ]);
    expect(output.match(/got answer close/g)).toHaveLength(2);
    expect(output.lastIndexOf("answered\n")).toBeLessThan(output.indexOf("pool ends"));
  });

  test.each([
    ["", ""],
    [", although another listener closes the server", `process.on("SIGTERM", () => server.close());`],
  ])("answers requests on connections that wait in the kernel%s", async (_, listener) => {
    const client = `const { connect } = require("node:net");
      for (let count = 0; count < 30; count += 1) connect(PORT, "127.0.0.1").write("GET /1 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");`;
    const { report } = await end(`${SERVER} import { Worker } from "node:worker_threads";
      await once(new Worker(${JSON.stringify(client)}.replace("PORT", port), { eval: true }), "online");
      ${listener}
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);`);
    expect(report.hooks).toMatchObject([{ name: "server", answered: 30, cut: 0 }, {}]);
  });

  test("counts requests that cannot end, and pools close in time", async () => {
    const { report, ms } = await end(`${SERVER} void get(5_000); await new Promise((d) => setTimeout(d, 30));`);
    expect(report.hooks).toMatchObject([
      { name: "server", result: "done", answered: 0, cut: 1 },
      { name: "pg", result: "done", closed: 1 },
    ]);
    expect(ms).toBeLessThan(1_000);
  });

  test("of Fastify closes by its own method, and of Nest as well", async () => {
    const { output, report } = await end(`${SERVER}
      class Closed extends Error { code = "ERR_SERVER_NOT_RUNNING" };
      closeOnShutdown({ server, then() {}, close: async () => { console.log("fastify closes"); throw new Closed(); } });
      closeOnShutdown({ getHttpServer: () => server, close: async () => { console.log("nest closes"); } });`);
    expect(report.hooks).toMatchObject([
      { name: "server#3" },
      { name: "server#2" },
      { name: "server" },
      { name: "pg" },
    ]);
    expect(report.hooks.every(({ result }) => result === "done")).toBe(true);
    expect(output).toMatch(/fastify closes[^]*pool ends/);
    expect(output).toMatch(/nest closes[^]*pool ends/);
  });
});
