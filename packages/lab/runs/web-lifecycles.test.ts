/**
 * Random lifecycles of a Web Function: whatever is in flight at SIGTERM, no answer is cut off that can end in time, and
 * no connection is left.
 *
 *   WEB_LIFECYCLES=1000 npx jest web-lifecycles              more of them
 *   WEB_LIFECYCLES_SEED=7 npx jest web-lifecycles           the same ones again
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildSync } from "esbuild";
import fc from "fast-check";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { WebEnvironment, type WebShutdownResult } from "../lambda/web-environment";
import { startDatabaseServer } from "../mysql/database-server";
import { Relay } from "../mysql/relay";
import type { DatabaseServer } from "../mysql/server";
import { severed } from "../mysql/severed";
import { outcomesOf } from "./outcome";
import { ENDLESS_CLIENTS, openClient, WEB_CLIENTS, WEB_ROUTES } from "./web-clients";

const LIFECYCLES = Number(process.env["WEB_LIFECYCLES"] ?? 20);
/** Without a number of lifecycles the same ones each time: the same code gets the same answer. */
const SEED = Number(
  process.env["WEB_LIFECYCLES_SEED"] ?? (process.env["WEB_LIFECYCLES"] === undefined ? 42 : Date.now() % 2 ** 31),
);
/** How many lifecycles may be run again: their second is real time, and a machine that is busy takes from it. */
const PATIENCE = Math.max(10, Math.ceil(LIFECYCLES / 20));
const ATTEMPTS = 5;
const SETTLE_MS = 60;
/** Of requests after SIGTERM: the pool closes at 900 ms. */
const LONGEST_MS = 800;
const CLIENTS = 8;
/** The end of the process, and of its connections. */
const GONE_MS = 100;
/** A listener of the function that does not end the process is waited for until half of the time is over. */
const BUDGET_MS = 1_000;

const ROOT = join(__dirname, "../../..");
const CACHE = join(ROOT, "node_modules/.cache");
mkdirSync(CACHE, { recursive: true });
const scratch = mkdtempSync(join(CACHE, "web-lifecycles-"));
const layer = join(scratch, "layer");
let runtime: LambdaRuntime;
let database: DatabaseServer;

const FRAMEWORKS = {
  http: `require("node:http").createServer(answer)`,
  express: `require("http").createServer(require("express")().use((req, res) => answer(req, res)))`,
} as const;

/** What else listens to SIGTERM in the process. */
const LISTENERS = {
  nothing: "",
  closes: `process.on("SIGTERM", () => server.close());`,
  "closes and exits": `process.on("SIGTERM", () => server.close(() => process.exit(0)));`,
  "closes all": `process.on("SIGTERM", () => { server.close(); server.closeAllConnections(); process.exit(0); });`,
  "closes the pool as well": `process.on("SIGTERM", () => server.close(async () => { await pool.end(); process.exit(0); }));`,
  exits: `process.on("SIGTERM", () => process.exit(0));`,
  throws: `process.on("SIGTERM", () => { throw new Error("thrown"); });`,
  rejects: `process.on("SIGTERM", async () => { throw new Error("rejected"); });`,
} as const;

const MODES = {
  attached: {
    close: "",
    variables: { NODE_OPTIONS: `--import=${join(layer, "lambda-graceful-shutdown/attach.mjs")}` },
  },
  "closed by the library": { close: "closeOnShutdown(pool); closeOnShutdown(server);", variables: {} },
  "closed by name": {
    close: `closeOnShutdown(server, { before: "db" }); onShutdown("db", () => pool.end());`,
    variables: {},
  },
} as const;

type Mode = keyof typeof MODES;
type Framework = keyof typeof FRAMEWORKS;

const code = (mode: Mode, framework: Framework): string => `
  import { closeOnShutdown, onShutdown } from "lambda-graceful-shutdown";
  import mysql from "mysql2/promise";
  const pool = mysql.createPool({ uri: process.env.MYSQL_URL, connectionLimit: ${CLIENTS * 2} });
  const query = (sql) => pool.query(sql);
  ${WEB_ROUTES}
  const [host, port] = process.env.AWS_LAMBDA_HTTP_ENDPOINT.split(":");
  const server = ${FRAMEWORKS[framework]};
  const second = require("node:http").createServer(answer).listen(0);
  server.listen(Number(port), host);
  ${MODES[mode].close}
  eval(process.env.LISTENER);`;

beforeAll(async () => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, "scripts/layer.mjs"), layer], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  for (const mode of Object.keys(MODES) as Mode[]) {
    for (const framework of Object.keys(FRAMEWORKS) as Framework[]) {
      buildSync({
        stdin: { contents: code(mode, framework), resolveDir: scratch },
        outfile: join(directoryOf(mode, framework), "index.js"),
        ...{ bundle: true, platform: "node", format: "cjs", conditions: ["source"] },
        ...{ external: ["mysql2", "express"], logLevel: "error" },
      });
    }
  }
  runtime = lambdaRuntime("nodejs24.x");
  database = await startDatabaseServer();
});

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function directoryOf(mode: Mode, framework: Framework): string {
  return join(scratch, `${mode} ${framework}`.replaceAll(" ", "-"));
}

interface Lifecycle {
  readonly mode: Mode;
  readonly framework: Framework;
  readonly listener: keyof typeof LISTENERS;
  readonly clients: readonly { readonly kind: string; readonly ms: number }[];
  readonly endless?: string | undefined;
}

function keys<K extends string>(table: Readonly<Record<K, unknown>>): fc.Arbitrary<K> {
  return fc.constantFrom(...(Object.keys(table) as K[]));
}

const ms = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 5, max: 100 }) },
  fc.integer({ min: 5, max: LONGEST_MS }),
);
const lifecycle: fc.Arbitrary<Lifecycle> = fc
  .record({
    mode: keys(MODES),
    framework: keys(FRAMEWORKS),
    listener: keys(LISTENERS),
    clients: fc.array(fc.record({ kind: keys(WEB_CLIENTS), ms }), { maxLength: CLIENTS }),
    endless: fc.option(keys(ENDLESS_CLIENTS), { freq: 4, nil: undefined }),
  })
  // `pool.end()` of a hook waits for the statement, and its connection is aborted.
  .filter(({ mode, endless }) => mode !== "closed by name" || endless !== "longer than the second");

/** The machine kept the process from its CPU, so its second was shorter. */
class Starved extends Error {}

interface Ending {
  readonly runtimeMs: number;
  /** Of the last byte, after SIGTERM. */
  readonly lastMs: number;
}
const endings: Ending[] = [];

async function runLifecycle(one: Lifecycle): Promise<void> {
  const relay = await Relay.start({ host: database.host, port: database.port });
  const environment = webEnvironment(one, relay);
  try {
    await environment.init();
    const { answers, shutdown, lastMs } = await endWithClients(environment, one);
    const { runtimeMs, endedBy, starved } = shutdown;
    endings.push({ runtimeMs, lastMs });
    const cut = answers
      .filter(({ isCut }) => isCut)
      .map(({ kind, text }) => `${kind}: ${text.length} bytes, ${text.slice(-40)}`);
    const outcomes = outcomesOf(relay.connections.filter(({ loggedIn }) => loggedIn));
    const left = outcomes.filter((outcome) => outcome !== "closed").length;
    const late = runtimeMs > longest(one, lastMs) ? `gone after ${runtimeMs}, last byte at ${lastMs}` : undefined;
    const isWell = cut.length + left === 0 && endedBy === "itself" && late === undefined;
    const [load = 0] = loadavg();
    if (!isWell && (starved !== undefined || load > 2 * availableParallelism())) throw new Starved(`load ${load}`);
    expect({ cut, endedBy, left, late, logs: isWell ? [] : environment.logs }).toEqual({
      ...{ cut: [], endedBy: "itself", left: 0, late: undefined, logs: [] },
    });
  } finally {
    await environment.shutdown();
    await relay.close();
  }
}

function webEnvironment({ mode, framework, listener }: Lifecycle, relay: Relay): WebEnvironment {
  const { user, password, database: name } = database;
  return new WebEnvironment({
    runtime,
    onGone: (endedBy) => severed([relay], endedBy),
    lambdaFunction: {
      ...{ name: "f", directory: directoryOf(mode, framework), handler: "", memorySizeMb: 512, timeoutMs: 10_000 },
      environment: {
        ...MODES[mode].variables,
        LISTENER: LISTENERS[listener],
        MYSQL_URL: `mysql://${user}:${password}@127.0.0.1:${relay.port}/${name}`,
      },
    },
  });
}

interface Answer {
  readonly kind: string;
  readonly isCut: boolean;
  readonly text: string;
}

async function endWithClients(
  environment: WebEnvironment,
  { clients, endless }: Lifecycle,
): Promise<{ readonly answers: readonly Answer[]; readonly shutdown: WebShutdownResult; readonly lastMs: number }> {
  const kinds = [...clients, ...(endless === undefined ? [] : [{ kind: endless, ms: 0 }])];
  const all = await Promise.all(
    kinds.map(async ({ kind, ms: duration }) => {
      const client = WEB_CLIENTS[kind] ?? ENDLESS_CLIENTS[kind] ?? {};
      return { kind, client, conversation: await openClient(client, environment.port, duration) };
    }),
  );
  const begin = (isLate: boolean): readonly Promise<Answer>[] =>
    all
      .filter(({ client }) => (client.isLate ?? false) === isLate)
      .map(async ({ kind, client: { isWhole }, conversation }) => {
        const text = await conversation.converse();
        return { kind, text, isCut: isWhole?.(text) === false };
      });
  const early = begin(false);
  await sleep(SETTLE_MS);
  const begun = performance.now();
  const late = begin(true);
  const shutdown = await environment.shutdown();
  const answers = await Promise.all([...early, ...late]);
  const lastMs = Math.max(0, ...all.map(({ conversation }) => conversation.lastByteAt() - begun));
  return { answers, shutdown, lastMs };
}

/** Milliseconds that the end may take. */
function longest({ mode, listener, endless }: Lifecycle, lastMs: number): number {
  if (endless !== undefined) return Infinity; // the lab kills what is not gone within the second
  const listens = mode === "attached" && !/exit|nothing/.test(listener);
  return Math.max(1.5 * lastMs, listens ? BUDGET_MS / 2 : 0) + GONE_MS;
}

function summary(): string {
  const sorted = endings.map(({ runtimeMs }) => runtimeMs).sort((left, right) => left - right);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN).toFixed(0);
  const overhead = endings.map(({ runtimeMs, lastMs }) => runtimeMs - lastMs).sort((left, right) => left - right);
  const middle = (overhead[Math.floor(overhead.length / 2)] ?? NaN).toFixed(0);
  return `${notJudged} not judged; gone after p50 ${at(0.5)}, p99 ${at(0.99)}, at most ${at(1)} ms; p50 ${middle} ms after the last byte`;
}

let repeatsLeft = PATIENCE;
/** In all attempts, the machine was too busy for a second to be one. */
let notJudged = 0;
async function runAgainIfDisturbed(one: Lifecycle, attempt = 1): Promise<void> {
  try {
    await runLifecycle(one);
  } catch (error) {
    const isStarved = error instanceof Starved;
    if (attempt === ATTEMPTS && isStarved) {
      notJudged += 1;
      return;
    }
    if (attempt === ATTEMPTS || (!isStarved && repeatsLeft === 0)) throw error;
    if (!isStarved) repeatsLeft -= 1;
    console.warn(`run again: ${JSON.stringify(one)}: ${(error as Error).message}`);
    await runAgainIfDisturbed(one, attempt + 1);
  }
}

test(
  `${LIFECYCLES} random lifecycles of a Web Function cut off no answer (WEB_LIFECYCLES_SEED=${SEED})`,
  async () => {
    const property = fc.asyncProperty(lifecycle, (one) => runAgainIfDisturbed(one));
    await fc.assert(property, { seed: SEED, numRuns: LIFECYCLES, endOnFailure: true });
    if (process.env["WEB_LIFECYCLES"] !== undefined) console.info(summary());
  },
  LIFECYCLES * 6_000,
);
