/**
 * Random lifecycles of attached functions: whatever else the process does, each connection to the database is closed.
 *
 *   ATTACH_LIFECYCLES=500 npx jest attach-random              more of them
 *   ATTACH_LIFECYCLES_SEED=7 npx jest attach-random          the same ones again
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { withExtension } from "../functions/subject";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { HandlerJudge } from "./handler-judge";
import { run, type End, type RunResult } from "./run";

const LIFECYCLES = Number(process.env["ATTACH_LIFECYCLES"] ?? 12);
/** Without a number of lifecycles the same ones each time: the same code gets the same answer. */
const SEED = Number(
  process.env["ATTACH_LIFECYCLES_SEED"] ?? (process.env["ATTACH_LIFECYCLES"] === undefined ? 42 : Date.now() % 2 ** 31),
);
/** Budgets are real time, and a machine that is busy elsewhere takes from it. */
const ATTEMPTS = 5;

/** Listeners of the function, by what they do. */
const LISTENERS = {
  none: "",
  "does nothing": `process.on("SIGTERM", () => 0);`,
  "exits at once": `process.on("SIGTERM", () => process.exit(0));`,
  "exits later": `process.on("SIGTERM", () => setTimeout(() => process.exit(1), 20));`,
  "ends the pool and exits": `process.on("SIGTERM", async () => { await pool.end(); process.exit(0); });`,
  "ends the pool": `process.on("SIGTERM", () => pool.end());`,
  "still uses the pool": `process.on("SIGTERM", async () => { await pool.query("DO SLEEP(0.03)"); process.exit(0); });`,
  throws: `process.on("SIGTERM", () => { throw new Error("listener"); });`,
  rejects: `process.on("SIGTERM", async () => { throw new Error("listener"); });`,
  "raises again": `process.once("SIGTERM", () => { process.removeAllListeners("SIGTERM"); process.kill(process.pid, "SIGTERM"); });`,
  "is alone": `process.removeAllListeners("SIGTERM");`,
};

/** What a connection of the pool is doing at SIGTERM. */
const WORK = {
  nothing: "",
  "a short statement": `void pool.query("SELECT SLEEP(0.1)").catch(() => 0);`,
  "a long statement": `void pool.query("SELECT SLEEP(5)").catch(() => 0);`,
  "a transaction": `const open = await pool.getConnection(); await open.query("START TRANSACTION"); await open.query("DO 1");`,
  "a log-in": `void pool.getConnection().catch(() => 0); void pool.getConnection().catch(() => 0);`,
  "a result that arrives": `void pool.query("SELECT REPEAT('x', 1000) FROM seq_1_to_20000").catch(() => 0);`,
};

/** Sockets beside the pool, to servers that misbehave. */
const NEIGHBOURS = {
  "half-open TLS": `require("node:tls").connect({ port: SILENT, host: "127.0.0.1" }).on("error", () => 0);`,
  "half-open TLS of PostgreSQL": `new (require("pg").Client)({ host: "127.0.0.1", port: HALF_OPEN, ssl: true, user: "x" }).connect().catch(() => 0);`,
  "a frozen Redis": `new (require("ioredis"))({ host: "127.0.0.1", port: FROZEN }).on("error", () => 0).get("a").catch(() => 0);`,
  "a reset at the goodbye": `require("node:net").connect(RESETTING, "127.0.0.1").on("error", () => 0).write("hello");`,
  "an HTTP server": `const server = require("node:http").createServer(() => 0).listen(0, "127.0.0.1", () => void fetch("http://127.0.0.1:" + server.address().port).catch(() => 0));`,
  "a black hole": `require("node:net").connect(BLACK_HOLE, "127.0.0.1").on("error", () => 0);`,
};

const SERVERS: Readonly<Record<string, (socket: Socket) => void>> = {
  SILENT: () => undefined,
  HALF_OPEN: (socket) => socket.once("data", () => socket.write("S")),
  FROZEN: (socket) => socket.once("data", () => socket.pause()),
  RESETTING: (socket) => socket.on("data", () => socket.write("hello")).on("end", () => socket.resetAndDestroy()),
  BLACK_HOLE: (socket) => socket.pause(),
};

interface Lifecycle {
  readonly listener: keyof typeof LISTENERS;
  readonly work: keyof typeof WORK;
  readonly neighbours: readonly (keyof typeof NEIGHBOURS)[];
  readonly invocations: number;
  readonly end: End["how"];
  readonly compress: boolean;
}

const keysOf = <T extends object>(object: T): (keyof T)[] => Object.keys(object) as (keyof T)[];
const LIFECYCLE: fc.Arbitrary<Lifecycle> = fc.record({
  listener: fc.constantFrom(...keysOf(LISTENERS)),
  work: fc.constantFrom(...keysOf(WORK)),
  neighbours: fc.subarray(keysOf(NEIGHBOURS), { maxLength: 3 }),
  invocations: fc.integer({ min: 1, max: 2 }),
  end: fc.constantFrom("idle" as const, "spindown" as const, "timeout" as const),
  compress: fc.boolean(),
});

const layer = mkdtempSync(join(tmpdir(), "layer-"));
const servers: Server[] = [];
const ports = new Map<string, number>();
let runtime: LambdaRuntime;
let database: DatabaseServer;
let judge: HandlerJudge;

jest.setTimeout(60_000 + LIFECYCLES * 5_000);

beforeAll(async () => {
  const { status, stderr } = spawnSync(process.execPath, [join(__dirname, "../../../scripts/layer.mjs"), layer]);
  if (status !== 0) throw new Error(stderr.toString());
  for (const [name, onSocket] of Object.entries(SERVERS)) {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      onSocket(socket.on("error", () => undefined));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.set(name, (server.address() as AddressInfo).port);
  }
  runtime = lambdaRuntime("nodejs24.x");
  database = await startDatabaseServer();
  judge = new HandlerJudge(database);
});

afterAll(async () => {
  for (const server of servers) server.close();
  await judge.close();
  await database.stop();
  rmSync(layer, { recursive: true });
  rmSync(`${layer}.zip`, { force: true });
});

function code({ listener, work, neighbours, compress }: Lifecycle): string {
  const constants = [...ports].map(([name, port]) => `${name} = ${port}`).join(", ");
  return `const ${constants};
const pool = require("mysql2/promise").createPool({ uri: process.env.MYSQL_URL, connectionLimit: 3, compress: ${compress} });
${LISTENERS[listener]}
exports.handler = async ({ last, slow }) => {
  await pool.query("SELECT 1");
  if (last) { ${neighbours.map((each) => `{ ${NEIGHBOURS[each]} }`).join("\n")} await new Promise((done) => setTimeout(done, 30)); ${WORK[work]} }
  if (slow) await new Promise((done) => setTimeout(done, 5_000));
};`;
}

async function live(lifecycle: Lifecycle): Promise<RunResult> {
  const handler = { name: "random", code: code(lifecycle), verdict: "clean" } as const;
  const subject = withExtension(await judge.subject(handler), "internal");
  const { lambdaFunction, variables } = subject;
  const attached = {
    ...subject,
    lambdaFunction: { ...lambdaFunction, timeoutMs: lifecycle.end === "timeout" ? 1_000 : 5_000 },
    variables: (...args: Parameters<NonNullable<typeof variables>>) => ({
      ...variables?.(...args),
      NODE_OPTIONS: `--import=${join(layer, "lambda-graceful-shutdown/attach.mjs")}`,
    }),
  };
  const events = Array.from({ length: lifecycle.invocations }, (_, index) => ({
    last: lifecycle.end !== "timeout" && index === lifecycle.invocations - 1,
  }));
  const ends: Readonly<Record<string, End>> = {
    idle: { how: "idle" },
    spindown: { how: "spindown", frozenMs: 50 },
    timeout: { how: "timeout", event: { last: true, slow: true } },
  };
  return run(attached, runtime, database, events, ends[lifecycle.end]);
}

/** What is wrong with the end. */
function problems({ outcomes, shutdown, logs }: RunResult): readonly string[] {
  const line = logs.map((text) => /\{"event":"shutdown",.*\}/.exec(text)?.[0]).find((text) => text !== undefined);
  const found = outcomes.filter((outcome) => outcome !== "closed").map((outcome) => `a connection was ${outcome}`);
  if (outcomes.length === 0) found.push("no connection");
  if (shutdown.starved !== undefined) return found; // this machine gave it too little of a CPU for the line
  if (!shutdown.endedBy.startsWith("itself")) found.push(`ended by ${shutdown.endedBy}`);
  if (line === undefined) found.push("no line");
  else if (!line.includes('"name":"attach","result":"done"')) found.push(line);
  return found;
}

test(`${LIFECYCLES} lifecycles of the seed ${SEED}`, async () => {
  const again: unknown[] = [];
  for (const lifecycle of fc.sample(LIFECYCLE, { numRuns: LIFECYCLES, seed: SEED })) {
    for (let attempt = 1, found: readonly string[] = [""]; found.length > 0; attempt += 1) {
      const result = await live(lifecycle);
      found = problems(result);
      if (found.length === 0) continue;
      again.push({ lifecycle, found });
      if (attempt === ATTEMPTS) throw new Error(JSON.stringify({ lifecycle, found, logs: result.logs }, null, 2));
    }
  }
  if (again.length > 0) console.info(`run again: ${JSON.stringify(again)}`);
  expect(again.length).toBeLessThanOrEqual(Math.max(6, LIFECYCLES / 10));
});
