import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseServer } from "../mysql/server";
import { endingOf } from "../lambda/ending";
import {
  ExecutionEnvironment,
  InitError,
  RUNTIME_STARTED,
  TIMED_OUT,
  type InvocationResult,
  type ShutdownResult,
  type TimelineEntry,
} from "../lambda/execution-environment";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { RelayedConnection } from "../mysql/relay";
import type { LambdaError } from "../lambda/runtime-api";
import type { Outcome } from "./outcome";
import { TcpRelays, type TcpConnection } from "./tcp-connections";
import { handlerLanguage, type HandlerLanguage } from "../functions/handler-language";
import { isFakeInsights, type Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";

export type { Outcome } from "./outcome";

/** How an environment ends. */
export type End =
  /** The Shutdown phase begins right after the last answer. */
  | { readonly how: "idle" }
  /** As in Lambda, where it is frozen after an answer, and thawed only to be told to go. */
  | { readonly how: "spindown"; readonly frozenMs: number }
  /** This event takes longer than the function may, and Lambda resets the environment. */
  | { readonly how: "timeout"; readonly event: unknown }
  /** The runtime's process is killed while it has this event, as if memory had run out, and Lambda resets it. */
  | { readonly how: "failure"; readonly event: unknown };

/** What ended the runtime's process. */
export type EndedBy = ShutdownResult["endedBy"] | "SIGTERM, unheard";

/** The same, with the process apart that got SIGTERM and did not listen to it. */
export function endedByOf({ endedBy, unheard }: Pick<ShutdownResult, "endedBy" | "unheard">): EndedBy {
  return unheard === true ? "SIGTERM, unheard" : endedBy;
}

export interface RunResult {
  readonly subject: string;
  readonly end: End["how"];
  /** Why there was no invocation. @default - Init succeeded */
  readonly initError?: LambdaError;
  /** Init timed out while the lab's own extension was still starting, so nothing of the function's ran. @default false */
  readonly isLate?: true;
  /**
   * Milliseconds from the start of the runtime's process to its first /next: what every figure and table calls Init.
   * @default - it never came to that
   */
  readonly initMs?: number;
  /** Without the one that was to end the environment. */
  readonly invocations: readonly InvocationResult[];
  /** Of the Shutdown phase, or of the reset in its place. */
  readonly shutdown: { readonly endedBy: EndedBy; readonly runtimeMs: number };
  /** Milliseconds from the first signal to COM_QUIT, of the last connection that sent one after the signal. */
  readonly quitMs: number | undefined;
  /** Connections that were closed with COM_QUIT before the first signal. @default 0 */
  readonly closedBefore?: number;
  readonly outcomes: readonly Outcome[];
  /** Rise of the server's own `Aborted_clients` during the run. @default - the stand-in has no such counter */
  readonly abortedClients?: number;
  /** The runtime's client stood in for AWS's. @default false */
  readonly isLabClient?: true;
  readonly timeline: readonly TimelineEntry[];
  readonly logs: readonly string[];
  /** As the function's variables say, and the relay has seen. */
  readonly logIn: LogIn;
  /** Connections to the subject's other servers; {@link outcomes} has them as well, behind those to the database. */
  readonly tcp?: readonly TcpConnection[];
  /** What the handler is written in. @default "nodejs" */
  readonly language?: HandlerLanguage;
}

/** In the timeline. */
export const LOG_IN_REFUSED = "log-in refused by the server";

/** Milliseconds that the server gets to notice that a connection ended. It needs one or two. */
const SETTLE_MS = 100;

/** Milliseconds that it gets to release what was leaked, which nobody measures. */
const RELEASE_MS = 1_000;

/** Takes one execution environment through Init, some invocations and Shutdown, and asks the server what it holds. */
export async function run(
  subject: Subject,
  runtime: LambdaRuntime,
  server: DatabaseServer,
  events: readonly unknown[] = [{}],
  end: End = { how: "idle" },
): Promise<RunResult> {
  const database = subject.database ?? server;
  const abortedBefore = await database.abortedClients();
  const { relay, variables } = await databaseAccess(subject, database);
  const tcp = await TcpRelays.start(subject.tcp ?? [], (what) => {
    environment.record(what);
  });
  const environmentVariables = variables(tcp.addresses);
  const createdAt = performance.now();
  const environment: ExecutionEnvironment = new ExecutionEnvironment({
    runtime,
    extensions: subject.extensions,
    onGone: () => {
      relay.sever();
      tcp.sever();
    },
    lambdaFunction: { ...subject.lambdaFunction, environment: environmentVariables },
  });
  relay.on("open", ({ threadId }) => {
    if (threadId !== undefined) environment.record(`connection to the server (its thread ${threadId})`);
  });
  relay.on("refused", ({ threadId }) => {
    environment.record(`${LOG_IN_REFUSED} (its thread ${threadId ?? "?"})`);
  });
  relay.on("quit", (connection: RelayedConnection) => {
    environment.record(`COM_QUIT to the server (its thread ${connection.threadId ?? "?"})`);
  });
  try {
    const initError = await environment.init().then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof InitError) return error.error;
        throw error;
      },
    );
    const invocations: InvocationResult[] = [];
    if (initError === undefined) {
      for (const event of events) invocations.push(await environment.invoke(event));
      await bringAbout(end, environment);
      // A reset leaves the machine on: the server is to hear from its kernel before the machine goes as well.
      if (end.how === "timeout" || end.how === "failure") await sleep(SETTLE_MS);
    }
    const begun = performance.now();
    const last = await environment.shutdown();
    // After a reset there is nothing left to shut down: it was the reset that told the runtime to go.
    const ending = endingOf(environment.timeline);
    const { goneMs, signalAt } = ending;
    const wasReset = last.endedBy === "gone before";
    const shutdown = wasReset
      ? { endedBy: endedByOf(ending), runtimeMs: goneMs }
      : { endedBy: endedByOf(last), runtimeMs: last.runtimeMs };
    const signalledAt = wasReset && !Number.isNaN(signalAt) ? createdAt + signalAt : begun;
    await sleep(SETTLE_MS);
    // One that has not come to log in was none: the server holds no thread for it, or not for long.
    const connections = relay.connections.filter(({ loggedIn }) => loggedIn);
    const others = tcp.connections();
    const allQuits = [...connections, ...others].flatMap(({ quitAt }) =>
      quitAt === undefined ? [] : [quitAt - signalledAt],
    );
    const quits = allQuits.filter((ms) => ms >= 0);
    const held = await database.heldThreads(connections.flatMap(({ threadId }) => threadId ?? []));
    const initMs = between(environment.timeline, RUNTIME_STARTED, "runtime ready (first /next)");
    const abortedClients = (await database.abortedClients()) - abortedBefore;
    return {
      subject: subject.name,
      end: end.how,
      ...(initError === undefined ? {} : { initError }),
      ...(isLate(initError, environment.timeline, subject) ? { isLate: true } : {}),
      ...(initMs === undefined ? {} : { initMs }),
      invocations,
      shutdown,
      quitMs: quits.length === 0 ? undefined : Math.max(...quits),
      logIn: logInOf(environmentVariables, connections),
      closedBefore: allQuits.length - quits.length,
      outcomes: [
        ...connections.map((connection) => outcome(connection, held)),
        ...others.map((connection) => connection.outcome),
      ],
      ...(subject.tcp === undefined ? {} : { tcp: others.map(withoutTime) }),
      ...(database.kind === "stand-in" ? {} : { abortedClients }),
      ...(runtime.isLabClient === true ? { isLabClient: true } : {}),
      timeline: environment.timeline,
      logs: environment.logs,
      language: handlerLanguage(subject.lambdaFunction.directory, runtime.name),
    };
  } finally {
    await environment.shutdown();
    await relay.close();
    await tcp.close();
    await released(database, relay.connections);
  }
}

function withoutTime({
  server,
  protocol,
  outcome,
  saw,
  isHidden,
}: ReturnType<TcpRelays["connections"]>[number]): TcpConnection {
  return { server, protocol, outcome, saw, ...(isHidden === undefined ? {} : { isHidden }) };
}

/** An extension of the user's has to be fast enough; the lab's fake is slow only if the machine is. */
export function isLate(
  error: LambdaError | undefined,
  timeline: readonly TimelineEntry[],
  { extensions }: Pick<Subject, "extensions">,
): boolean {
  const hasStarted = timeline.some(({ what }) => what === RUNTIME_STARTED);
  return error?.errorType === TIMED_OUT && !hasStarted && extensions.every(isFakeInsights);
}

async function bringAbout(end: End, environment: ExecutionEnvironment): Promise<void> {
  switch (end.how) {
    case "idle":
      return;
    case "spindown":
      environment.freeze();
      await sleep(end.frozenMs);
      return;
    case "timeout": {
      const { ok, durationMs } = await environment.invoke(end.event);
      if (ok || !environment.timeline.some(({ what }) => what.startsWith("Sandbox.Timedout"))) {
        throw new Error(
          `the function did not time out: it answered ${JSON.stringify(end.event)} after ${durationMs.toFixed(0)} ms`,
        );
      }
      return;
    }
    case "failure": {
      const invocation = environment.invoke(end.event);
      environment.signal("SIGKILL");
      await invocation;
    }
  }
}

/** What was leaked ends with the relay; the server is to have counted it before the next run looks at its counter. */
async function released(database: DatabaseServer, connections: readonly RelayedConnection[]): Promise<void> {
  const threads = connections.flatMap(({ threadId }) => threadId ?? []);
  const deadline = performance.now() + RELEASE_MS;
  while ((await database.heldThreads(threads)).size > 0 && performance.now() < deadline) await sleep(10);
}

function outcome({ threadId, quitAt, closedAt }: RelayedConnection, held: ReadonlySet<number>): Outcome {
  // One that was closed under a statement is held as well, but only until that ends.
  if (threadId !== undefined && closedAt === undefined && held.has(threadId)) return "leaked";
  return quitAt === undefined ? "aborted" : "closed";
}

function between(timeline: readonly TimelineEntry[], from: string, to: string): number | undefined {
  const at = (what: string): number | undefined => timeline.find((entry) => entry.what === what)?.at;
  const [begin, end] = [at(from), at(to)];
  return begin === undefined || end === undefined ? undefined : end - begin;
}
