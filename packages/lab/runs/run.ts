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
import type { Starvation } from "../lambda/starvation";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { Relay, RelayedConnection } from "../mysql/relay";
import type { LambdaError } from "../lambda/runtime-api";
import type { Outcome } from "./outcome";
import { TcpRelays, type TcpConnection } from "./tcp-connections";
import { handlerLanguage, type HandlerLanguage } from "../functions/handler-language";
import { codeOrigin, isModuleHandler, type CodeOrigin } from "../functions/code-origin";
import { isFakeInsights, type Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";
import { severed } from "../mysql/severed";
import { commandLine } from "../processes/descendants";
import { processSockets } from "../processes/process-sockets";
import { unwatchedConnections } from "./unwatched-connections";

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
  readonly shutdown: {
    readonly endedBy: EndedBy;
    readonly runtimeMs: number;
    /** @default - the runtime could run, or nobody can tell */
    readonly starved?: Starvation;
  };
  /** Milliseconds from the first signal to COM_QUIT, of the last connection that sent one after the signal. */
  readonly quitMs: number | undefined;
  /** Connections that were closed with COM_QUIT before the first signal. @default 0 */
  readonly closedBefore?: number;
  readonly outcomes: readonly Outcome[];
  /** Rise of the server's own `Aborted_clients` during the run. @default - the fake has no such counter */
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
  /** Its file is an ES module. @default false */
  readonly isModule?: boolean;
  /** Where each connection was opened. @default - the runtime's process cannot tell */
  readonly opened?: readonly Opened[];
  /** Who called process.exit() last. @default - nobody was seen to */
  readonly exitCall?: CodeOrigin;
  /** Stack of the last error that nobody caught. @default - none was seen */
  readonly uncaught?: string;
  /** Addresses of connections that pass none of the lab's relays, seen after the last event. @default none */
  readonly unwatched?: readonly string[];
  /** What ran in the place of the named runtime. @default - the named one ran */
  readonly otherRuntime?: string;
}

/** A connection, with the code that opened it. */
export interface Opened extends CodeOrigin {
  readonly outcome: Outcome;
  /** Command of the child process that opened it. @default - the runtime's own process did */
  readonly child?: string;
}

/** What a run may have beside its events and its end. */
export interface RunOptions {
  /** Milliseconds that the environment is frozen between two events. @default - it is not frozen */
  readonly freezeBetweenMs?: number;
}

/** In the timeline. */
export const LOG_IN_REFUSED = "log-in refused by the server";

/** Milliseconds that the server gets to notice that a connection ended. It needs one or two. */
const SETTLE_MS = 100;

/** Milliseconds that the server gets to release what was leaked, which is not measured. */
const RELEASE_MS = 1_000;

/** Takes one execution environment through Init, some invocations and Shutdown, and asks the server what it holds. */
export async function run(
  subject: Subject,
  runtime: LambdaRuntime,
  server: DatabaseServer,
  events: readonly unknown[] = [{}],
  end: End = { how: "idle" },
  options: RunOptions = {},
): Promise<RunResult> {
  const database = subject.database ?? server;
  const abortedBefore = await database.abortedClients();
  const scene = await Scene.prepare(subject, runtime, database);
  try {
    const life = await scene.play(events, end, options);
    const connections = await scene.connections();
    const abortedClients = (await database.abortedClients()) - abortedBefore;
    return {
      subject: subject.name,
      end: end.how,
      ...life,
      ...connections,
      // On a server that others use, the counter tells of their clients as well.
      ...(hasOwnCounter(database) ? { abortedClients } : {}),
      ...(runtime.isLabClient === true ? { isLabClient: true } : {}),
      ...(runtime.otherVersion === undefined ? {} : { otherRuntime: runtime.otherVersion }),
      ...scene.seenInside(connections.outcomes),
      language: handlerLanguage(subject.lambdaFunction.directory, runtime.name),
      ...(isModuleHandler(subject.lambdaFunction) ? { isModule: true } : {}),
    };
  } finally {
    await scene.close();
  }
}

/** Whether Aborted_clients counts the lab's clients alone. */
export function hasOwnCounter({ kind }: Pick<DatabaseServer, "kind">): boolean {
  return kind === "mariadbd" || kind === "mysqld";
}

type Life = Pick<
  RunResult,
  "initError" | "isLate" | "initMs" | "invocations" | "shutdown" | "timeline" | "logs" | "unwatched"
>;
type Connections = Pick<RunResult, "quitMs" | "closedBefore" | "logIn" | "outcomes" | "tcp">;

/** One environment, and the relays between it and its servers. */
class Scene {
  private readonly createdAt = performance.now();
  private readonly environment: ExecutionEnvironment;
  private signalledAt = NaN;
  /** Commands of the runtime's children by the local ports of their connections, as they were after the last event. */
  private readonly childrenByPort = new Map<number, string>();

  private constructor(
    private readonly subject: Subject,
    runtime: LambdaRuntime,
    private readonly database: DatabaseServer,
    private readonly relay: Relay,
    private readonly tcp: TcpRelays,
    private readonly variables: Readonly<Record<string, string>>,
  ) {
    this.environment = new ExecutionEnvironment({
      runtime,
      extensions: subject.extensions,
      onGone: (endedBy) => severed([relay, ...tcp.relays], endedBy),
      lambdaFunction: { ...subject.lambdaFunction, environment: variables },
    });
    const thread = ({ threadId }: RelayedConnection): string => `(its thread ${threadId ?? "?"})`;
    relay.on("open", (connection) => {
      if (connection.threadId !== undefined) this.record(`connection to the server ${thread(connection)}`);
    });
    relay.on("refused", (connection) => {
      this.record(`${LOG_IN_REFUSED} ${thread(connection)}`);
    });
    relay.on("quit", (connection) => {
      this.record(`COM_QUIT to the server ${thread(connection)}`);
    });
  }

  static async prepare(subject: Subject, runtime: LambdaRuntime, database: DatabaseServer): Promise<Scene> {
    const { relay, variables } = await databaseAccess(subject, database);
    const tcp = await TcpRelays.start(subject.tcp ?? [], (what) => {
      scene.record(what);
    });
    const scene: Scene = new Scene(subject, runtime, database, relay, tcp, variables(tcp.addresses));
    return scene;
  }

  async play(events: readonly unknown[], end: End, { freezeBetweenMs }: RunOptions): Promise<Life> {
    const { environment } = this;
    const initError = await environment.init().then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof InitError) return error.error;
        throw error;
      },
    );
    const invocations: InvocationResult[] = [];
    let unwatched: readonly string[] = [];
    if (initError === undefined) {
      for (const [index, event] of events.entries()) {
        if (index > 0 && freezeBetweenMs !== undefined) await this.freeze(freezeBetweenMs);
        invocations.push(await environment.invoke(event));
      }
      unwatched = this.noteProcesses();
      await bringAbout(end, environment);
      // A reset leaves the machine on, so the server hears from its kernel before the machine goes as well.
      if (end.how === "timeout" || end.how === "failure") await sleep(SETTLE_MS);
    }
    const shutdown = await this.shutDown();
    const { timeline, logs } = environment;
    const initMs = between(timeline, RUNTIME_STARTED, "runtime ready (first /next)");
    return {
      ...(initError === undefined ? {} : { initError }),
      ...(isLate(initError, timeline, this.subject) ? { isLate: true } : {}),
      ...(initMs === undefined ? {} : { initMs }),
      ...{ invocations, shutdown, timeline, logs },
      ...(unwatched.length === 0 ? {} : { unwatched }),
    };
  }

  /** What became of the connections. To be asked after the Shutdown phase. */
  async connections(): Promise<Connections> {
    await sleep(SETTLE_MS);
    const { loggedIn: connections, others } = this;
    const allQuits = [...connections, ...others].flatMap(({ quitAt }) =>
      quitAt === undefined ? [] : [quitAt - this.signalledAt],
    );
    const quits = allQuits.filter((ms) => ms >= 0);
    const held = await this.database.heldThreads(connections.flatMap(({ threadId }) => threadId ?? []));
    return {
      quitMs: quits.length === 0 ? undefined : Math.max(...quits),
      closedBefore: allQuits.length - quits.length,
      logIn: logInOf(this.variables, connections),
      outcomes: [
        ...connections.map((connection) => outcome(connection, held)),
        ...others.map((connection) => connection.outcome),
      ],
      ...(this.subject.tcp === undefined ? {} : { tcp: others.map(withoutTime) }),
    };
  }

  /** What the runtime's process told of its code. */
  seenInside(outcomes: readonly Outcome[]): Pick<RunResult, "opened" | "exitCall" | "uncaught"> {
    const { lambdaFunction } = this.subject;
    const { runtimeNotes: notes } = this.environment;
    const stacks = new Map(
      notes.flatMap(({ socket }) => (socket === undefined ? [] : [[socket.localPort, socket.stack]])),
    );
    const opened = [...this.loggedIn, ...this.others].flatMap(({ clientPort = 0 }, index): Opened[] => {
      const [stack, child, found] = [stacks.get(clientPort), this.childrenByPort.get(clientPort), outcomes[index]];
      if (found === undefined || (stack === undefined && child === undefined)) return [];
      const origin = codeOrigin(stack ?? [], lambdaFunction);
      return [{ outcome: found, ...origin, ...(child === undefined ? {} : { child }) }];
    });
    // AWS's client calls process.exit() itself where Init fails.
    const exitCall = notes
      .flatMap(({ exit }) => (exit === undefined ? [] : codeOrigin(exit, lambdaFunction)))
      .findLast(({ place, packages }) => place !== undefined || packages.length > 0);
    const uncaught = notes.findLast((note) => note.uncaught !== undefined)?.uncaught;
    return {
      ...(opened.length === 0 ? {} : { opened }),
      ...(exitCall === undefined ? {} : { exitCall }),
      ...(uncaught === undefined ? {} : { uncaught }),
    };
  }

  async close(): Promise<void> {
    await this.environment.shutdown();
    await this.relay.close();
    await this.tcp.close();
    await released(this.database, this.relay.connections);
  }

  record(what: string): void {
    this.environment.record(what);
  }

  /** A connection that did not log in is none: the server holds no thread for it, or not for long. */
  private get loggedIn(): readonly RelayedConnection[] {
    return this.relay.connections.filter(({ loggedIn }) => loggedIn);
  }

  private get others(): ReturnType<TcpRelays["connections"]> {
    return this.tcp.connections();
  }

  private get watchedPorts(): ReadonlySet<number> {
    return new Set([this.relay, ...this.tcp.relays].map(({ port }) => port));
  }

  /** @returns connections that the lab does not watch */
  private noteProcesses(): readonly string[] {
    const { runtimePid, childPids, runtimeNotes } = this.environment;
    for (const pid of childPids) {
      for (const { localPort } of processSockets(pid)) this.childrenByPort.set(localPort, commandLine(pid));
    }
    const pids = [...(runtimePid === undefined ? [] : [runtimePid]), ...childPids];
    return unwatchedConnections(pids, this.watchedPorts, runtimeNotes);
  }

  private async freeze(ms: number): Promise<void> {
    this.environment.freeze();
    await sleep(ms);
  }

  private async shutDown(): Promise<RunResult["shutdown"]> {
    const begun = performance.now();
    const last = await this.environment.shutdown();
    // After a reset there is nothing left to shut down: the reset told the runtime to go.
    const ending = endingOf(this.environment.timeline);
    const { goneMs, signalAt } = ending;
    const wasReset = last.endedBy === "gone before";
    this.signalledAt = wasReset && !Number.isNaN(signalAt) ? this.createdAt + signalAt : begun;
    const { starved } = this.environment;
    return {
      ...(wasReset
        ? { endedBy: endedByOf(ending), runtimeMs: goneMs }
        : { endedBy: endedByOf(last), runtimeMs: last.runtimeMs }),
      ...(starved === undefined ? {} : { starved }),
    };
  }
}

function withoutTime({
  server,
  protocol,
  outcome,
  saw,
  unproven,
}: ReturnType<TcpRelays["connections"]>[number]): TcpConnection {
  return { server, protocol, outcome, saw, ...(unproven === undefined ? {} : { unproven }) };
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
