import { setMaxListeners } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { ConnectionSampler, type StormSample } from "../mysql/connection-samples";
import type { DatabaseServer } from "../mysql/server";
import { ExecutionEnvironment, InitError } from "../lambda/execution-environment";
import { lightened } from "../lambda/fake-insights";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { endedChildrenCpuMs } from "../processes/process-cpu";
import type { LambdaError } from "../lambda/runtime-api";
import type { Relay } from "../mysql/relay";
import type { Events } from "../functions/project";
import type { Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";
import { endedByOf } from "./run";

export type { StormSample } from "../mysql/connection-samples";

export interface StormConfig {
  readonly subject: Subject;
  readonly runtime: LambdaRuntime;
  readonly database: DatabaseServer;
  /** How many are alive at once, 1 to 1,000. @default 100 */
  readonly environments?: number;
  /** Whole number that decides what happens to each environment, and in which order. @default 1 */
  readonly seed?: number;
  /** Seconds between the moment when all are up and the moment when the traffic is over. @default 15 */
  readonly seconds?: number;
  /**
   * What the environments are invoked with. Without a slow event, none is taken away or times out in a statement.
   * @default - the quick event is {}
   */
  readonly events?: Events;
  /** Told what is going on. @default - nobody is told */
  readonly onProgress?: (message: string) => void;
}

export interface StormResult {
  readonly subject: string;
  readonly environments: number;
  readonly seed: number;
  readonly samples: readonly StormSample[];
  /** Connections that came to log in. */
  readonly opened: number;
  /** Connections on which COM_QUIT passed. */
  readonly closed: number;
  /** Rise of the server's own `Aborted_clients`; without such a counter, connections that ended without COM_QUIT. */
  readonly aborted: number;
  /** The server has no counter of its own. @default false */
  readonly hasNoCounter?: true;
  /** Connections that the server still held when every environment was gone. */
  readonly leaked: number;
  /** Milliseconds from the first signal to the end of the runtime's process, of each Shutdown phase. */
  readonly goneMs: readonly number[];
  /** What ended the runtime's process in how many Shutdown phases. */
  readonly endings: Readonly<Record<string, number>>;
  /** Without those that the storm itself cut off or let time out. */
  readonly invocations: { readonly ok: number; readonly failed: number; readonly firstError?: LambdaError };
  /** CPU time of the lab's own process, and of the processes that it ran; null where there is no /proc. */
  readonly cpu: { readonly labMs: number; readonly functionsMs: number | null };
  readonly peakEnvironments: number;
  /** As the function's variables say, and the relays have seen. @default - an earlier version of the lab did not look */
  readonly logIn?: LogIn;
}

export const STORM_DEFAULTS = { environments: 100, seed: 1, seconds: 15 } as const;
export const MAX_ENVIRONMENTS = 1_000;
export const MAX_SECONDS = 3_600;

/**
 * So many may be in Init or in Shutdown at once, and as many in a time-out, which ends in a Shutdown. In Lambda each
 * environment has its own CPU. Here too many would share it, and the 300 ms of real time would measure the load.
 */
const AT_ONCE = { phases: availableParallelism(), timeouts: 1 };
/**
 * Between two happenings of all environments together. An invocation costs the lab, which is the other end of it, as
 * much CPU as the function (1.3 ms and 1.1 ms, measured), an Init a tenth of it: with more than 20 a second the lab
 * would be a good part of what it measures.
 */
const HAPPENING_EVERY_MS = 50;
const LEAST_PAUSE_MS = 200;
/** Of the function, in the storm: long enough for a statement on a busy machine, short enough to be waited for. */
const TIMEOUT_MS = 2_000;
const BUSY_MS = 50;
/** Milliseconds that the server gets to release what was leaked, a statement that nobody waits for included. */
const RELEASE_MS = 35_000;

/** How often each comes, of 100 happenings; the rest are invocations, with the freeze and the thaw around them. */
const HAPPENINGS = { "reclaimed idle": 5, "reclaimed frozen": 5, "reclaimed busy": 3, "time-out": 2 } as const;
type Happening = keyof typeof HAPPENINGS | "invocation";

/**
 * Measured with Node.js 24 at 200 environments, in a control group: page tables, sockets and extension included. A secret
 * and TLS take 0.8 MB of it (measured at 70).
 */
const ENVIRONMENT_BYTES = 20.3e6;
/** The lab itself, and the server. */
const LAB_BYTES = 300e6;
/**
 * Pipes, sockets and listeners of one environment in the lab: 16, and a part of a second connection, which few have.
 */
const ENVIRONMENT_FILES = 18;
const LAB_FILES = 100;

// The young generation of a runtime that does next to nothing is kept as small as it can be, as is what its threads
// allocate apart from each other.
const LIGHT_RUNTIME = { NODE_OPTIONS: "--max-semi-space-size=1", MALLOC_ARENA_MAX: "1" };

/**
 * Checks what a storm of this size needs from the machine and the server.
 *
 * @throws with all that is too much
 */
export async function checkRoom(environments: number, seconds: number, database: DatabaseServer): Promise<void> {
  const problems: string[] = [];
  const inRange = (name: string, value: number, most: number): void => {
    if (Number.isInteger(value) && value >= 1 && value <= most) return;
    problems.push(`${name} ${value} is not a whole number from 1 to ${most} (--${name})`);
  };
  inRange("environments", environments, MAX_ENVIRONMENTS);
  inRange("seconds", seconds, MAX_SECONDS);
  const lifecycles = environments + (seconds * 1_000 * reclaimedOf100()) / 100 / HAPPENING_EVERY_MS;
  const room: readonly [what: string, needed: number, there: number, unit: string][] = [
    ["memory", Math.ceil((environments * ENVIRONMENT_BYTES + LAB_BYTES) / 1e6), Math.floor(freemem() / 1e6), " MB"],
    ["open files (ulimit -n)", environments * ENVIRONMENT_FILES + LAB_FILES, openFilesLimit(), ""],
    // Of a way that gives none back, all are held at the end.
    ["the server's max_connections", Math.ceil(lifecycles) + 1, await maxConnections(database), ""],
  ];
  for (const [what, needed, there, unit] of room) {
    if (needed <= there) continue;
    problems.push(
      `${what}: a storm of ${environments} environments needs ${needed}${unit}, there are ${there}${unit} (--environments)`,
    );
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function reclaimedOf100(): number {
  return Object.values(HAPPENINGS).reduce((sum, share) => sum + share, 0);
}

/** Node.js itself has raised it as far as it may; where there is no /proc nobody can tell. */
function openFilesLimit(): number {
  if (!existsSync("/proc/self/limits")) return Infinity;
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return limit === undefined || limit === "unlimited" ? Infinity : Number(limit);
}

async function maxConnections(database: DatabaseServer): Promise<number> {
  if (database.kind === "stand-in") return Infinity;
  const { host, port, user, password } = database;
  const client = await mysql.createConnection({ host, port, user, password, database: database.database });
  const [[row]] = await client.query<RowDataPacket[]>("SELECT @@max_connections AS most");
  await client.end();
  return Number(row?.["most"]);
}

/**
 * Many environments of one way at once: they scale up under load, are invoked, frozen and thawed, time out, are
 * reclaimed busy, idle and frozen, and new ones come in their place; then the traffic is over and all are reclaimed.
 * The server's connections are sampled all the time.
 */
export async function storm(config: StormConfig): Promise<StormResult> {
  return new Storm(config).blow();
}

/** One environment's life, with its own way to the server. */
interface Lifecycle {
  readonly environment: ExecutionEnvironment;
  readonly relay: Relay;
}

class Storm {
  private readonly environments: number;
  private readonly seed: number;
  private readonly seconds: number;
  private readonly events: Events;
  private readonly inTurn = gate(AT_ONCE.phases);
  private readonly timingOut = gate(AT_ONCE.timeouts);
  private readonly relays: Relay[] = [];
  /** Server threads that may still exist, each with the moment its environment was gone and had not closed it. */
  private readonly threads = new Map<number, number | undefined>();
  private readonly lifecycles = new Set<Lifecycle>();
  private readonly goneMs: number[] = [];
  private readonly endings: Record<string, number> = {};
  private readonly invocations: { ok: number; failed: number; firstError?: LambdaError } = { ok: 0, failed: 0 };
  private peak = 0;
  private failedInits = 0;
  private phase: "scale-up" | "storm" | "over" = "scale-up";
  private allUp: () => void = () => undefined;
  private readonly over = new AbortController();
  private readonly database: DatabaseServer;
  /** Of the newest environment; those of the others differ in the port. */
  private variables: Readonly<Record<string, string>> = {};

  constructor(private readonly config: StormConfig) {
    ({
      environments: this.environments = STORM_DEFAULTS.environments,
      seed: this.seed = STORM_DEFAULTS.seed,
      seconds: this.seconds = STORM_DEFAULTS.seconds,
      events: this.events = { quick: {} },
    } = config);
    this.database = config.subject.database ?? config.database;
  }

  private get alive(): number {
    return [...this.lifecycles].filter(({ environment }) => environment.isThere).length;
  }

  async blow(): Promise<StormResult> {
    const { database } = this;
    const { subject, onProgress = () => undefined } = this.config;
    await checkRoom(this.environments, this.seconds, database);
    setMaxListeners(0, this.over.signal); // each environment's pause ends with it
    const labBefore = process.cpuUsage();
    const functionsBefore = endedChildrenCpuMs();
    const sampler = await ConnectionSampler.start(database, () => ({
      environments: this.alive,
      threads: this.threads,
    }));
    const ticker = setInterval(() => {
      onProgress(`${this.phase}, ${this.alive} of ${this.environments} environments are there`);
    }, 1_000);
    try {
      const up = new Promise<void>((resolve) => (this.allUp = resolve));
      const slots = Array.from({ length: this.environments }, (_, slot) => this.slot(generator(this.seed, slot)));
      const ended = Promise.all(slots);
      await Promise.race([up, ended]);
      this.phase = "storm";
      await Promise.race([sleep(this.seconds * 1_000), ended]);
      this.phase = "over";
      this.over.abort();
      await ended;
      const connections = this.relays.flatMap((relay) => relay.connections.filter(({ loggedIn }) => loggedIn));
      // The server notices that a connection was closed under a statement when that ends.
      await this.released(
        connections.flatMap(({ threadId, closedAt }) => (closedAt === undefined ? [] : (threadId ?? []))),
      );
      const { aborted: counted, leaked } = await sampler.stop();
      const closed = connections.filter(({ quitAt }) => quitAt !== undefined).length;
      const functionsMs = endedChildrenCpuMs() - functionsBefore;
      const lab = process.cpuUsage(labBefore);
      return {
        subject: subject.name,
        environments: this.environments,
        seed: this.seed,
        samples: sampler.samples,
        opened: connections.length,
        closed,
        aborted: counted ?? Math.max(0, connections.length - closed - leaked),
        ...(counted === null ? { hasNoCounter: true } : {}),
        leaked,
        goneMs: this.goneMs,
        endings: this.endings,
        invocations: this.invocations,
        cpu: {
          labMs: Math.round((lab.user + lab.system) / 1_000),
          functionsMs: Number.isNaN(functionsMs) ? null : functionsMs,
        },
        peakEnvironments: this.peak,
        logIn: logInOf(this.variables, connections),
      };
    } finally {
      clearInterval(ticker);
      this.phase = "over";
      this.over.abort();
      await Promise.allSettled([...this.lifecycles].map((lifecycle) => lifecycle.environment.shutdown()));
      await Promise.all(this.relays.map((relay) => relay.close()));
      // What was leaked ends with the relays; it is to be counted before anyone looks at the server's counter again.
      await this.released([...this.threads.keys()]);
    }
  }

  /** One after the other, until the traffic is over. */
  private async slot(random: () => number): Promise<void> {
    while (this.phase !== "over") await this.runLifecycle(await this.begin(), random);
  }

  private async begin(): Promise<Lifecycle> {
    const { subject, runtime } = this.config;
    const { relay, variables } = await databaseAccess(subject, this.database);
    this.relays.push(relay);
    this.variables = variables();
    relay.on("open", ({ threadId }) => {
      if (threadId !== undefined) this.threads.set(threadId, undefined);
    });
    const environment = new ExecutionEnvironment({
      runtime,
      extensions: lightened(subject.extensions),
      onGone: () => {
        relay.sever();
        for (const { threadId, loggedIn, closedAt } of relay.connections) {
          if (threadId === undefined) continue;
          if (!loggedIn) this.threads.delete(threadId);
          else if (closedAt === undefined) this.threads.set(threadId, performance.now());
        }
      },
      lambdaFunction: {
        ...subject.lambdaFunction,
        timeoutMs: Math.min(TIMEOUT_MS, subject.lambdaFunction.timeoutMs),
        environment: { ...LIGHT_RUNTIME, ...this.variables },
      },
    });
    const lifecycle = { environment, relay };
    this.lifecycles.add(lifecycle);
    return lifecycle;
  }

  /** Tells whether the environment is there; where its Init fails it is given up. */
  private async init(lifecycle: Lifecycle): Promise<boolean> {
    try {
      await lifecycle.environment.init();
    } catch (error) {
      if (!(error instanceof InitError)) throw error;
      this.invocations.failed += 1;
      this.invocations.firstError ??= error.error;
      this.failedInits += 1;
      if (this.peak === 0 || this.failedInits > this.environments) throw error;
      return false;
    }
    this.peak = Math.max(this.peak, this.alive);
    if (this.alive === this.environments) this.allUp();
    return true;
  }

  private async runLifecycle(lifecycle: Lifecycle, random: () => number): Promise<void> {
    const { environment } = lifecycle;
    for (;;) {
      if (!environment.isThere) {
        // The first Init, or the one after a reset.
        const isUp = await this.inTurn(async () => this.phase !== "over" && (await this.init(lifecycle)));
        if (!isUp) break;
      }
      const happening = pick(random());
      const pause = LEAST_PAUSE_MS + random() * 2 * this.environments * HAPPENING_EVERY_MS;
      // What is drawn during the scale-up is dropped: nobody goes before all are there.
      switch (this.phase === "storm" ? this.possible(happening) : "invocation") {
        case "invocation":
          await this.invoke(environment);
          environment.freeze();
          await this.pause(pause);
          if (this.over.signal.aborted) break;
          continue;
        case "reclaimed idle":
          await this.invoke(environment);
          break;
        case "reclaimed busy":
          await this.inTurn(async () => {
            const cutOff = environment.invoke(this.events.slow);
            await sleep(BUSY_MS);
            await this.reclaim(lifecycle);
            await cutOff;
          });
          break;
        case "time-out":
          // When the traffic is over, an environment has no invocation left to time out in.
          await this.timingOut(async () => this.phase === "over" || (await environment.invoke(this.events.slow)));
          continue;
        case "reclaimed frozen":
      }
      break;
    }
    if (this.lifecycles.has(lifecycle)) await this.inTurn(() => this.reclaim(lifecycle));
  }

  /** Without an event that keeps the function busy, an environment is idle when it is reclaimed. */
  private possible(happening: Happening): Happening {
    const isBusy = happening === "reclaimed busy" || happening === "time-out";
    return isBusy && !("slow" in this.events) ? "reclaimed idle" : happening;
  }

  private async invoke(environment: ExecutionEnvironment): Promise<void> {
    const result = await environment.invoke(this.events.quick);
    this.invocations[result.ok ? "ok" : "failed"] += 1;
    if (!result.ok) this.invocations.firstError ??= result.error;
  }

  private async reclaim(lifecycle: Lifecycle): Promise<void> {
    const wasThere = lifecycle.environment.isThere;
    const shutdown = await lifecycle.environment.shutdown();
    const { runtimeMs } = shutdown;
    const endedBy = endedByOf(shutdown);
    this.lifecycles.delete(lifecycle);
    if (!wasThere) return;
    this.endings[endedBy] = (this.endings[endedBy] ?? 0) + 1;
    if (endedBy !== "gone before") this.goneMs.push(runtimeMs);
  }

  private async pause(ms: number): Promise<void> {
    // Rejects when the traffic is over.
    await sleep(ms, undefined, { signal: this.over.signal }).catch(() => undefined);
  }

  private async released(ids: readonly number[]): Promise<void> {
    const deadline = performance.now() + RELEASE_MS;
    while ((await this.database.heldThreads(ids)).size > 0 && performance.now() < deadline) await sleep(20);
  }
}

function pick(random: number): Happening {
  let rest = random * 100;
  for (const [happening, share] of Object.entries(HAPPENINGS)) {
    rest -= share;
    if (rest < 0) return happening as Happening;
  }
  return "invocation";
}

/** Lets so many work at once; the others wait for their turn. */
function gate(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

/** Each slot draws from its own, so that what happens to it does not depend on how fast the others are (mulberry32). */
function generator(seed: number, slot: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) ^ Math.imul(slot + 1, 0x85ebca6b);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
