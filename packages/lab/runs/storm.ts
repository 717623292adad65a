import { setMaxListeners } from "node:events";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionSampler, type StormSample } from "../mysql/connection-samples";
import type { DatabaseServer } from "../mysql/server";
import { ExecutionEnvironment, InitError } from "../lambda/execution-environment";
import { lightened } from "../lambda/fake-insights";
import type { Starvation } from "../lambda/starvation";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { endedChildrenCpuMs } from "../processes/process-cpu";
import type { LambdaError } from "../lambda/runtime-api";
import type { Relay } from "../mysql/relay";
import type { Events } from "../functions/project";
import type { Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";
import { endedByOf, hasOwnCounter } from "./run";
import { severed } from "../mysql/severed";
import { randomNumbers } from "./storm-random";
import { checkRoom } from "./storm-room";
import { Turns } from "./storm-turns";
import { TcpRelays } from "./tcp-connections";
import { connectionsOf, goodbyesOf } from "./verdict";

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
  /** Runtimes that this machine kept from running in their Shutdown phase; the worst of them. @default none */
  readonly starved?: Starvation & { readonly environments: number };
  /** Without those that the storm itself cut off or let time out. */
  readonly invocations: { readonly ok: number; readonly failed: number; readonly firstError?: LambdaError };
  /** CPU time of the lab's own process, and of the processes that it ran; null where there is no /proc. */
  readonly cpu: { readonly labMs: number; readonly functionsMs: number | null };
  readonly peakEnvironments: number;
  /** As the function's variables say, and the relays have seen. @default - an earlier version of the lab did not look */
  readonly logIn?: LogIn;
  /** What closed the connections, as their protocols call it. @default COM_QUIT */
  readonly goodbyes?: readonly string[];
  /** Why the lab cannot tell. @default - it can */
  readonly unproven?: "encryption" | "protocol";
  /** What ran in the place of the named runtime. @default - the named one ran */
  readonly otherRuntime?: string;
}

export const STORM_DEFAULTS = { environments: 100, seed: 1, seconds: 15 } as const;

/**
 * So many may be in Init or in Shutdown at once, and as many in a time-out, which ends in a Shutdown. In Lambda each
 * environment has its own CPU. Here too many would share it, and the 300 ms of real time would measure the load.
 */
const AT_ONCE = { phases: availableParallelism(), timeouts: 1 };
/**
 * Between two events of all environments together. An invocation costs the lab, which is the other end of it, as much
 * CPU as the function (1.3 ms and 1.1 ms, measured), an Init a tenth of it. With more than 20 a second the lab would
 * measure itself.
 */
const EVENT_EVERY_MS = 50;
const LEAST_PAUSE_MS = 200;
/** Of the function, in the storm: long enough for a statement on a busy machine, short enough to be waited for. */
const TIMEOUT_MS = 2_000;
const BUSY_MS = 50;
/** Milliseconds that the server gets to release what was leaked, a statement that nobody waits for included. */
const RELEASE_MS = 35_000;

/** How often each event comes, in percent. The rest are invocations, with a freeze before and after each. */
const EVENTS = { "reclaimed idle": 5, "reclaimed frozen": 5, "reclaimed busy": 3, "time-out": 2 } as const;
type StormEvent = keyof typeof EVENTS | "invocation";
/** What becomes of an environment after an event. */
type Next = "goes on" | "is reclaimed";

// The young generation of a runtime that does next to nothing is kept as small as it can be, as is what its threads
// allocate apart from each other.
const LIGHT_RUNTIME = { NODE_OPTIONS: "--max-semi-space-size=1", MALLOC_ARENA_MAX: "1" };

/**
 * Many environments of one way at once: they scale up under load, are invoked, frozen and thawed, time out, are
 * reclaimed busy, idle and frozen, and new ones come in their place; then the traffic is over and all are reclaimed.
 * The server's connections are sampled all the time.
 */
export async function storm(config: StormConfig): Promise<StormResult> {
  return new Storm(config).run();
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
  private readonly phaseTurns = new Turns(AT_ONCE.phases);
  private readonly timeoutTurns = new Turns(AT_ONCE.timeouts);
  private readonly relays: Relay[] = [];
  /** To the servers of --tcp. */
  private readonly tcpRelays: TcpRelays[] = [];
  /** Server threads that may still exist, each with the moment its environment was gone and had not closed it. */
  private readonly threads = new Map<number, number | undefined>();
  private readonly lifecycles = new Set<Lifecycle>();
  private readonly goneMs: number[] = [];
  private readonly endings: Record<string, number> = {};
  private readonly invocations: { ok: number; failed: number; firstError?: LambdaError } = { ok: 0, failed: 0 };
  private starved: StormResult["starved"];
  private peak = 0;
  private failedInits = 0;
  private phase: "scale-up" | "storm" | "over" = "scale-up";
  private allUp: () => void = () => undefined;
  private readonly over = new AbortController();
  private readonly database: DatabaseServer;
  /** Of the newest environment; those of the others differ in the port. */
  private variables: Readonly<Record<string, string>> = {};

  private readonly eventMethods: Readonly<
    Record<StormEvent, (lifecycle: Lifecycle, pauseMs: number) => Promise<Next>>
  > = {
    invocation: (lifecycle, pauseMs) => this.invokeAndFreeze(lifecycle, pauseMs),
    "reclaimed idle": (lifecycle) => this.reclaimIdle(lifecycle),
    "reclaimed frozen": () => Promise.resolve("is reclaimed"),
    "reclaimed busy": (lifecycle) => this.reclaimBusy(lifecycle),
    "time-out": (lifecycle) => this.timeOut(lifecycle),
  };

  constructor(private readonly config: StormConfig) {
    ({
      environments: this.environments = STORM_DEFAULTS.environments,
      seed: this.seed = STORM_DEFAULTS.seed,
      seconds: this.seconds = STORM_DEFAULTS.seconds,
      events: this.events = { quick: {} },
    } = config);
    this.database = config.subject.database ?? config.database;
  }

  async run(): Promise<StormResult> {
    const { environments, seconds, database } = this;
    await checkRoom({ environments, seconds, lifecycles: this.environments + expectedReclaims(seconds) }, database);
    setMaxListeners(0, this.over.signal); // each environment's pause ends with it
    const labBefore = process.cpuUsage();
    const functionsBefore = endedChildrenCpuMs();
    const sampler = await ConnectionSampler.start(database, () => ({
      environments: this.alive,
      threads: this.threads,
    }));
    const ticker = setInterval(() => {
      this.config.onProgress?.(`${this.phase}, ${this.alive} of ${environments} environments are there`);
    }, 1_000);
    try {
      await this.runSlots();
      const result = await this.result(sampler);
      const functionsMs = endedChildrenCpuMs() - functionsBefore;
      const { user, system } = process.cpuUsage(labBefore);
      const labMs = Math.round((user + system) / 1_000);
      return { ...result, cpu: { labMs, functionsMs: Number.isNaN(functionsMs) ? null : functionsMs } };
    } finally {
      clearInterval(ticker);
      await this.close();
    }
  }

  private get alive(): number {
    return [...this.lifecycles].filter(({ environment }) => environment.isThere).length;
  }

  private async runSlots(): Promise<void> {
    const up = new Promise<void>((resolve) => (this.allUp = resolve));
    const slots = Array.from({ length: this.environments }, (_, slot) => this.slot(randomNumbers(this.seed, slot)));
    const ended = Promise.all(slots);
    await Promise.race([up, ended]);
    this.phase = "storm";
    await Promise.race([sleep(this.seconds * 1_000), ended]);
    this.phase = "over";
    this.over.abort();
    await ended;
  }

  private async result(sampler: ConnectionSampler): Promise<Omit<StormResult, "cpu">> {
    const connections = this.relays.flatMap((relay) => relay.connections.filter(({ loggedIn }) => loggedIn));
    // The server notices that a connection was closed under a statement when the statement ends.
    const closedThreads = connections.filter(({ closedAt }) => closedAt !== undefined);
    await this.released(closedThreads.flatMap(({ threadId }) => threadId ?? []));
    const last = await sampler.stop();
    const counted = hasOwnCounter(this.database) ? last.aborted : null;
    const closed = connections.filter(({ quitAt }) => quitAt !== undefined).length;
    const others = this.tcpRelays.flatMap((relays) => relays.connections());
    const otherOutcomes = connectionsOf(others.map(({ outcome }) => outcome));
    const unproven = others.find((each) => each.unproven !== undefined)?.unproven;
    const { otherVersion } = this.config.runtime;
    return {
      subject: this.config.subject.name,
      environments: this.environments,
      seed: this.seed,
      // On a server that others use, the counter tells of their clients as well.
      samples: counted === null ? sampler.samples.map((sample) => ({ ...sample, aborted: null })) : sampler.samples,
      opened: connections.length + others.length,
      closed: closed + otherOutcomes.closed,
      aborted: (counted ?? Math.max(0, connections.length - closed - last.leaked)) + otherOutcomes.aborted,
      ...(counted === null ? { hasNoCounter: true } : {}),
      leaked: last.leaked + otherOutcomes.leaked,
      goneMs: this.goneMs,
      endings: this.endings,
      ...(this.starved === undefined ? {} : { starved: this.starved }),
      invocations: this.invocations,
      peakEnvironments: this.peak,
      logIn: logInOf(this.variables, connections),
      ...(others.length === 0 ? {} : { goodbyes: goodbyesOf(closed > 0, others) }),
      ...(unproven === undefined ? {} : { unproven }),
      ...(otherVersion === undefined ? {} : { otherRuntime: otherVersion }),
    };
  }

  private async close(): Promise<void> {
    this.phase = "over";
    this.over.abort();
    await Promise.allSettled([...this.lifecycles].map((lifecycle) => lifecycle.environment.shutdown()));
    await Promise.all([...this.relays, ...this.tcpRelays].map((relay) => relay.close()));
    // The server counts what was leaked when the relays close. The next reader of its counter must come later.
    await this.released([...this.threads.keys()]);
  }

  /** One lifecycle after the other, until the traffic is over. */
  private async slot(random: () => number): Promise<void> {
    while (this.phase !== "over") await this.runLifecycle(await this.begin(), random);
  }

  private async begin(): Promise<Lifecycle> {
    const { subject, runtime } = this.config;
    const { relay, variables } = await databaseAccess(subject, this.database);
    const tcp = await TcpRelays.start(subject.tcp ?? [], () => undefined);
    this.relays.push(relay);
    this.tcpRelays.push(tcp);
    this.variables = variables(tcp.addresses);
    relay.on("open", ({ threadId }) => {
      if (threadId !== undefined) this.threads.set(threadId, undefined);
    });
    const environment = new ExecutionEnvironment({
      runtime,
      extensions: lightened(subject.extensions),
      onGone: async (endedBy) => {
        await severed([relay, ...tcp.relays], endedBy);
        this.noteOpenThreads(relay);
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

  private noteOpenThreads({ connections }: Relay): void {
    for (const { threadId, loggedIn, closedAt } of connections) {
      if (threadId === undefined) continue;
      if (!loggedIn) this.threads.delete(threadId);
      else if (closedAt === undefined) this.threads.set(threadId, performance.now());
    }
  }

  private async runLifecycle(lifecycle: Lifecycle, random: () => number): Promise<void> {
    let next: Next = "goes on";
    while (next === "goes on" && (await this.isUp(lifecycle))) {
      const event = this.possibleEvent(randomEvent(random()));
      const pauseMs = LEAST_PAUSE_MS + random() * 2 * this.environments * EVENT_EVERY_MS;
      next = await this.eventMethods[event](lifecycle, pauseMs);
    }
    if (this.lifecycles.has(lifecycle)) await this.phaseTurns.run(() => this.reclaim(lifecycle));
  }

  /** Inits it if it is new or was reset. */
  private async isUp(lifecycle: Lifecycle): Promise<boolean> {
    if (lifecycle.environment.isThere) return true;
    return this.phaseTurns.run(async () => this.phase !== "over" && (await this.init(lifecycle)));
  }

  /** Tells whether the environment is there. An environment whose Init fails is given up. */
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

  /** No environment ends during the scale-up. Without a slow event, an environment is idle when it is reclaimed. */
  private possibleEvent(event: StormEvent): StormEvent {
    if (this.phase !== "storm") return "invocation";
    const isBusy = event === "reclaimed busy" || event === "time-out";
    return isBusy && !("slow" in this.events) ? "reclaimed idle" : event;
  }

  private async invokeAndFreeze({ environment }: Lifecycle, pauseMs: number): Promise<Next> {
    await this.invoke(environment);
    environment.freeze();
    // Rejects when the traffic is over.
    await sleep(pauseMs, undefined, { signal: this.over.signal }).catch(() => undefined);
    return this.over.signal.aborted ? "is reclaimed" : "goes on";
  }

  private async reclaimIdle({ environment }: Lifecycle): Promise<Next> {
    await this.invoke(environment);
    return "is reclaimed";
  }

  private async reclaimBusy(lifecycle: Lifecycle): Promise<Next> {
    await this.phaseTurns.run(async () => {
      const cutOff = lifecycle.environment.invoke(this.events.slow);
      await sleep(BUSY_MS);
      await this.reclaim(lifecycle);
      await cutOff;
    });
    return "is reclaimed";
  }

  private async timeOut({ environment }: Lifecycle): Promise<Next> {
    // When the traffic is over, an environment has no invocation left to time out in.
    await this.timeoutTurns.run(async () => this.phase === "over" || (await environment.invoke(this.events.slow)));
    return "goes on";
  }

  private async invoke(environment: ExecutionEnvironment): Promise<void> {
    const result = await environment.invoke(this.events.quick);
    this.invocations[result.ok ? "ok" : "failed"] += 1;
    if (!result.ok) this.invocations.firstError ??= result.error;
  }

  private async reclaim(lifecycle: Lifecycle): Promise<void> {
    const wasThere = lifecycle.environment.isThere;
    const shutdown = await lifecycle.environment.shutdown();
    const endedBy = endedByOf(shutdown);
    this.lifecycles.delete(lifecycle);
    if (!wasThere) return;
    this.endings[endedBy] = (this.endings[endedBy] ?? 0) + 1;
    if (shutdown.starved !== undefined) this.noteStarvation(shutdown.starved);
    if (endedBy !== "gone before") this.goneMs.push(shutdown.runtimeMs);
  }

  private noteStarvation(starvation: Starvation): void {
    const { environments = 0, waitMs = 0 } = this.starved ?? {};
    const worst = this.starved !== undefined && waitMs > starvation.waitMs ? this.starved : starvation;
    this.starved = { ...worst, environments: environments + 1 };
  }

  private async released(ids: readonly number[]): Promise<void> {
    const deadline = performance.now() + RELEASE_MS;
    while ((await this.database.heldThreads(ids)).size > 0 && performance.now() < deadline) await sleep(20);
  }
}

function expectedReclaims(seconds: number): number {
  const percent = Object.values(EVENTS).reduce((sum, share) => sum + share, 0);
  return (seconds * 1_000 * percent) / 100 / EVENT_EVERY_MS;
}

function randomEvent(random: number): StormEvent {
  let rest = random * 100;
  for (const [event, share] of Object.entries(EVENTS)) {
    rest -= share;
    if (rest < 0) return event as StormEvent;
  }
  return "invocation";
}
