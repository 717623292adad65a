import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseServer } from "./database-server";
import {
  ExecutionEnvironment,
  type InvocationResult,
  type ShutdownResult,
  type TimelineEntry,
} from "./execution-environment";
import type { LambdaRuntime } from "./lambda-runtime";
import { Relay, type RelayedConnection } from "./relay";
import type { Way } from "./way";

/**
 * What became of a connection: `clean` (the server got COM_QUIT), `aborted` (it was closed without), `leaked` (the
 * environment vanished and the server still holds the thread).
 */
export type Fate = "clean" | "aborted" | "leaked";

export interface RunResult {
  readonly way: string;
  /** Milliseconds from the start of the runtime's process to its first /next. */
  readonly initMs: number;
  readonly invocations: readonly InvocationResult[];
  readonly shutdown: ShutdownResult;
  /** Milliseconds from the first signal to COM_QUIT, of the last connection that sent one. */
  readonly quitMs: number | undefined;
  readonly fates: readonly Fate[];
  /** Rise of the server's own `Aborted_clients` during the run. */
  readonly abortedClients: number;
  readonly timeline: readonly TimelineEntry[];
  readonly logs: readonly string[];
}

/** Milliseconds that the server gets to notice that a connection ended. It needs one or two. */
const SETTLE_MS = 100;

/** Milliseconds that it gets to release what was leaked, which nobody measures. */
const RELEASE_MS = 1_000;

/** Takes one execution environment through Init, some invocations and Shutdown, and asks the server what it holds. */
export async function run(
  way: Way,
  runtime: LambdaRuntime,
  database: DatabaseServer,
  events: readonly unknown[] = [{}],
): Promise<RunResult> {
  const abortedBefore = await database.abortedClients();
  const relay = await Relay.start({ host: database.host, port: database.port });
  const environment = new ExecutionEnvironment({
    runtime,
    extensions: way.extensions,
    onGone: () => {
      relay.sever();
    },
    lambdaFunction: {
      ...way.lambdaFunction,
      environment: {
        ...way.lambdaFunction.environment,
        DB_HOST: "127.0.0.1",
        DB_PORT: String(relay.port),
        DB_NAME: database.database,
        DB_USER: database.user,
        DB_AUTH: "password",
        DB_PASSWORD: database.password,
        DB_TLS: "off",
      },
    },
  });
  relay.on("quit", (connection: RelayedConnection) => {
    environment.record(`COM_QUIT to the server (its thread ${connection.threadId ?? "?"})`);
  });
  try {
    await environment.init();
    const invocations: InvocationResult[] = [];
    for (const event of events) invocations.push(await environment.invoke(event));
    const begun = performance.now();
    const shutdown = await environment.shutdown();
    await sleep(SETTLE_MS);
    // One that the server never greeted was none: it holds no thread for it.
    const connections = relay.connections.filter(({ threadId }) => threadId !== undefined);
    const quits = connections.flatMap(({ quitAt }) => (quitAt === undefined ? [] : [quitAt - begun]));
    const held = await database.heldThreads(connections.flatMap(({ threadId }) => threadId ?? []));
    return {
      way: way.name,
      initMs: between(environment.timeline, "runtime started", "runtime ready (first /next)"),
      invocations,
      shutdown,
      quitMs: quits.length === 0 ? undefined : Math.max(...quits),
      fates: connections.map((connection) => fate(connection, held)),
      abortedClients: (await database.abortedClients()) - abortedBefore,
      timeline: environment.timeline,
      logs: environment.logs,
    };
  } finally {
    await environment.shutdown();
    await relay.close();
    await released(database, relay.connections);
  }
}

/** What was leaked ends with the relay; the server is to have counted it before the next run looks at its counter. */
async function released(database: DatabaseServer, connections: readonly RelayedConnection[]): Promise<void> {
  const threads = connections.flatMap(({ threadId }) => threadId ?? []);
  const deadline = performance.now() + RELEASE_MS;
  while ((await database.heldThreads(threads)).size > 0 && performance.now() < deadline) await sleep(10);
}

function fate({ threadId, quitAt }: RelayedConnection, held: ReadonlySet<number>): Fate {
  if (threadId !== undefined && held.has(threadId)) return "leaked";
  return quitAt === undefined ? "aborted" : "clean";
}

function between(timeline: readonly TimelineEntry[], from: string, to: string): number {
  const at = (what: string): number => timeline.find((entry) => entry.what === what)?.at ?? NaN;
  return at(to) - at(from);
}
