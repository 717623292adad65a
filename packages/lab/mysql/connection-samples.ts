import { setTimeout as sleep } from "node:timers/promises";
import mysql from "mysql2/promise";
import { median } from "simple-statistics";
import type { DatabaseServer } from "./server";
import { processCpuMs } from "../processes/process-cpu";

export interface StormSample {
  readonly at: number;
  readonly environments: number;
  readonly connections: number;
  /** Of these, those of environments that are gone. */
  readonly leaked: number;
  /** Rise of the server's own `Aborted_clients`; null on the fake, which has no such counter. */
  readonly aborted: number | null;
}

export interface Sampled {
  readonly environments: number;
  /** Server threads that may still exist, each with the moment its environment was gone. */
  readonly threads: ReadonlyMap<number, number | undefined>;
}

const EVERY_MS = 100;
/** Milliseconds that the server gets to notice that a connection ended. It needs one or two. */
const SETTLE_MS = 100;

/** Looks at the server every 100 ms, over the one connection that the lab has for looking. */
export class ConnectionSampler {
  readonly samples: StormSample[] = [];
  readonly #begun = performance.now();
  #abortedBefore = 0;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(
    private readonly database: DatabaseServer,
    private readonly sampled: () => Sampled,
  ) {}

  static async start(database: DatabaseServer, sampled: () => Sampled): Promise<ConnectionSampler> {
    const sampler = new ConnectionSampler(database, sampled);
    sampler.#abortedBefore = await database.abortedClients();
    sampler.#loop = sampler.#run();
    // It is awaited at the end, and fails there.
    sampler.#loop.catch(() => undefined);
    return sampler;
  }

  /** A last sample, when nothing runs any more. */
  async stop(): Promise<StormSample> {
    this.#stopped = true;
    await this.#loop;
    await sleep(2 * SETTLE_MS);
    return this.#look();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#look();
      await sleep(EVERY_MS);
    }
  }

  async #look(): Promise<StormSample> {
    const { environments, threads } = this.sampled();
    const settled = performance.now() - SETTLE_MS;
    const gone = new Set([...threads].flatMap(([id, goneAt]) => (goneAt !== undefined && goneAt < settled ? id : [])));
    const at = performance.now() - this.#begun;
    const held = await this.database.heldThreads([...threads.keys()]);
    const sample = {
      at: Math.round(at),
      environments,
      connections: held.size,
      leaked: [...held].filter((id) => gone.has(id)).length,
      aborted: this.database.kind === "fake" ? null : (await this.database.abortedClients()) - this.#abortedBefore,
    };
    this.samples.push(sample);
    return sample;
  }
}

/** What sampling costs the server, measured with and without it. */
export interface SamplingCost {
  readonly connections: number;
  /** Milliseconds of a small statement, median. */
  readonly statementMs: { readonly without: number; readonly sampled: number };
  /** CPU milliseconds a second of the server's process. @default - nobody can tell */
  readonly serverCpuMs?: { readonly without: number; readonly sampled: number };
}

const ROUNDS = 4;
const ROUND_MS = 1_000;
const STATEMENT_EVERY_MS = 2;

/**
 * Holds idle connections and runs a small statement over and over, in turns without the sampler and with it, so that a
 * machine that gets slower does so for both.
 */
export async function samplingCost(database: DatabaseServer, connections: number): Promise<SamplingCost> {
  const { host, port, user, password } = database;
  const login = { host, port, user, password, database: database.database };
  const idle: mysql.Connection[] = [];
  try {
    for (let count = 0; count <= connections; count += 1) idle.push(await mysql.createConnection(login));
    const threads = new Map(idle.map(({ threadId }) => [threadId, undefined]));
    const sampled = (): Sampled => ({ environments: connections, threads });
    const times = { without: [] as number[], sampled: [] as number[] };
    const cpu = { without: 0, sampled: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const kind of ["without", "sampled"] as const) {
        const before = processCpuMs(database.pid);
        const sampler = kind === "sampled" ? await ConnectionSampler.start(database, sampled) : undefined;
        times[kind].push(...(await statementTimes(idle[0])));
        await sampler?.stop();
        cpu[kind] += (processCpuMs(database.pid) - before) / ((ROUNDS * ROUND_MS) / 1_000);
      }
    }
    return {
      connections,
      statementMs: { without: median(times.without), sampled: median(times.sampled) },
      ...(Number.isNaN(cpu.sampled) ? {} : { serverCpuMs: cpu }),
    };
  } finally {
    await Promise.all(idle.map((connection) => connection.end()));
  }
}

/** Milliseconds of each statement of a round. */
async function statementTimes(client: mysql.Connection | undefined): Promise<readonly number[]> {
  const times: number[] = [];
  const end = performance.now() + ROUND_MS;
  while (performance.now() < end) {
    const begun = performance.now();
    await client?.query("SELECT CONNECTION_ID(), NOW(3)");
    times.push(performance.now() - begun);
    await sleep(STATEMENT_EVERY_MS);
  }
  return times;
}
