import { setTimeout as sleep } from "node:timers/promises";
import { lightened } from "../lambda/fake-insights";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { ManagedEnvironment, type ManagedResult, WORKERS_PER_VCPU } from "../lambda/managed-environment";
import type { DatabaseServer } from "../mysql/server";
import type { Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";
import { severed } from "../mysql/severed";
import { connectionsOf, invocationsOf, verdictOf, type Verdict } from "./verdict";
import { outcomesOf } from "./outcome";
import { hasOwnCounter, type RunResult } from "./run";

/** What became of the connections of one execution environment of Managed Instances. */
export interface ManagedRunResult extends Pick<
  RunResult,
  "subject" | "shutdown" | "outcomes" | "abortedClients" | "logs"
> {
  readonly workers: number;
  readonly logIn: LogIn;
  readonly invocations: readonly ManagedResult[];
  /** How many invocations ran when the Shutdown phase began. */
  readonly busy: number;
  /** Of libuv's pool, where AWS's client has each worker wait for an invocation. @default - it is another client */
  readonly poolThreads?: number;
}

export interface ManagedRunConfig {
  readonly subject: Subject;
  readonly runtime: LambdaRuntime;
  readonly database: DatabaseServer;
  /** @default 8 */
  readonly workers?: number;
  /** Each idle worker gets it once. @default {} */
  readonly event?: unknown;
  /** Half of the workers have it when the Shutdown phase begins. @default - they are idle */
  readonly slowEvent?: unknown;
}

/** https://docs.libuv.org/en/v1.x/threadpool.html */
const LIBUV_THREADS = 4;
const WORKERS_START_WITHIN_MS = 10_000;
const SETTLE_MS = 100;

/** Init, an invocation on each worker at the same time, and the Shutdown phase. */
export async function runManaged(config: ManagedRunConfig): Promise<ManagedRunResult> {
  const { subject, runtime, workers = WORKERS_PER_VCPU, event = {}, slowEvent } = config;
  const database = subject.database ?? config.database;
  const abortedBefore = await database.abortedClients();
  const { relay, variables } = await databaseAccess(subject, database);
  const environment = new ManagedEnvironment({
    runtime,
    workers,
    extensions: lightened(subject.extensions),
    onGone: (endedBy) => severed([relay], endedBy),
    lambdaFunction: { ...subject.lambdaFunction, environment: variables() },
  });
  const allIdle = (): boolean => environment.idleWorkers >= workers;
  try {
    await environment.init();
    const haveStarted = await withinStart(allIdle);
    const invocations = await Promise.all(Array.from({ length: workers }, () => environment.invoke(event)));
    if (haveStarted) await withinStart(allIdle);
    const busy = busyWorkers(config);
    const running = Array.from({ length: busy }, () => environment.invoke(slowEvent));
    if (busy > 0) await sleep(SETTLE_MS);
    const shutdown = await environment.shutdown();
    await Promise.all(running);
    await sleep(SETTLE_MS);
    const connections = relay.connections.filter(({ loggedIn }) => loggedIn);
    return {
      ...{ subject: subject.name, workers, invocations, busy, shutdown },
      ...(runtime.isAwsClient ? { poolThreads: Number(variables()["UV_THREADPOOL_SIZE"] ?? LIBUV_THREADS) } : {}),
      logIn: logInOf(variables(), connections),
      outcomes: outcomesOf(connections),
      ...(hasOwnCounter(database) ? { abortedClients: (await database.abortedClients()) - abortedBefore } : {}),
      logs: environment.logs,
    };
  } finally {
    await environment.shutdown();
    await relay.close();
  }
}

/** How many workers have the slow event when the Shutdown phase begins. */
export function busyWorkers({ workers = WORKERS_PER_VCPU, slowEvent }: ManagedRunConfig): number {
  return slowEvent === undefined ? 0 : Math.ceil(workers / 2);
}

/** Init ends with the first worker, while others still start; a worker whose code fails never comes. */
export async function withinStart(allCame: () => boolean): Promise<boolean> {
  const deadline = performance.now() + WORKERS_START_WITHIN_MS;
  while (!allCame() && performance.now() < deadline) await sleep(5);
  return allCame();
}

/** The same verdict as that of every command. */
export function managedVerdict(result: ManagedRunResult): Verdict {
  const { subject, workers, busy, outcomes, invocations, shutdown, abortedClients } = result;
  return verdictOf({
    subject: `${subject} on Managed Instances, ${workers} workers, ${busy} of them busy,`,
    invocations: invocationsOf(invocations),
    connections: connectionsOf(outcomes),
    endings: { [shutdown.endedBy]: 1 },
    ...(abortedClients === undefined ? {} : { abortedClients }),
  });
}

/** What to change before anything else: without a free thread no host name is looked up, and no file is read. */
export function managedAdvice({ workers, poolThreads = Infinity }: ManagedRunResult): string | undefined {
  if (poolThreads > workers) return undefined;
  const what = `set UV_THREADPOOL_SIZE to ${workers + LIBUV_THREADS}`;
  return `${what}: each of the ${workers} workers waits for invocations in one of libuv's ${poolThreads} threads, and host names are looked up in the same threads`;
}
