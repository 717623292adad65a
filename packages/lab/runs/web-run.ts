import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { InitError } from "../lambda/lambda-errors";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { WebEnvironment, type WebAnswer, type WebRequest, type WebShutdownResult } from "../lambda/web-environment";
import type { Relay, RelayedConnection } from "../mysql/relay";
import type { DatabaseServer } from "../mysql/server";
import { severed } from "../mysql/severed";
import type { Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";
import { outcomesOf } from "./outcome";
import { hasOwnCounter, type RunResult } from "./run";
import { checkRoom } from "./storm-room";
import { Turns } from "./storm-turns";
import { TcpRelays } from "./tcp-connections";
import { findingsOf, invocationsOf, verdictOf, type Findings, type Verdict } from "./verdict";

/** What became of the connections and the requests of one environment of a Web Function. */
export interface WebRunResult extends Pick<
  RunResult,
  "subject" | "initError" | "outcomes" | "abortedClients" | "logs" | "tcp"
> {
  readonly logIn: LogIn;
  /** Answers before the Shutdown phase. */
  readonly answers: readonly WebAnswer[];
  /** Requests in flight when routing stopped. */
  readonly inFlight: number;
  readonly shutdown: WebShutdownResult;
}

export interface WebRunConfig {
  readonly subject: Subject;
  readonly runtime: LambdaRuntime;
  readonly database: DatabaseServer;
  /** Requests side by side. */
  readonly concurrency: number;
  /** What is asked for first. @default - `GET /` */
  readonly request?: WebRequest;
  /** What is in flight when routing stops. @default - nothing */
  readonly slowRequest?: WebRequest;
}

const SETTLE_MS = 100;

/** Init, requests side by side, and the Shutdown phase while the slow requests are in flight. */
export async function runWeb(config: WebRunConfig): Promise<WebRunResult> {
  const database = config.subject.database ?? config.database;
  const abortedBefore = await database.abortedClients();
  const scene = await WebScene.prepare(config);
  try {
    await scene.begin();
    const result = await scene.end();
    const abortedClients = (await database.abortedClients()) - abortedBefore;
    return hasOwnCounter(database) ? { ...result, abortedClients } : result;
  } finally {
    await scene.close();
  }
}

/** Many environments at once. */
export interface WebStormResult {
  readonly results: readonly WebRunResult[];
  /** Connections that the server held when all environments had answered. */
  readonly heldAtMost: number;
  /** Rise of the server's counter. @default - others use the server */
  readonly abortedClients?: number;
}

/** All environments answer their requests, then each ends with slow requests in flight, as many at once as CPUs. */
export async function webStorm(config: WebRunConfig, environments: number): Promise<WebStormResult> {
  const database = config.subject.database ?? config.database;
  await checkRoom({ environments, seconds: 1, lifecycles: environments }, database);
  const abortedBefore = await database.abortedClients();
  const turns = new Turns(availableParallelism());
  const scenes = await Promise.all(Array.from({ length: environments }, () => WebScene.prepare(config)));
  try {
    await Promise.all(scenes.map((scene) => turns.run(() => scene.begin())));
    const heldAtMost = scenes.reduce((sum, { held }) => sum + held, 0);
    const results = await Promise.all(scenes.map((scene) => turns.run(() => scene.end())));
    const abortedClients = (await database.abortedClients()) - abortedBefore;
    return { results, heldAtMost, ...(hasOwnCounter(database) ? { abortedClients } : {}) };
  } finally {
    await Promise.all(scenes.map((scene) => scene.close()));
  }
}

/** One environment, and the relays between it and its servers. */
class WebScene {
  private readonly environment: WebEnvironment;
  private initError: RunResult["initError"];
  private answers: readonly WebAnswer[] = [];

  private constructor(
    private readonly config: WebRunConfig,
    private readonly relay: Relay,
    private readonly tcp: TcpRelays,
    private readonly variables: Readonly<Record<string, string>>,
  ) {
    const { subject, runtime, concurrency } = config;
    this.environment = new WebEnvironment({
      ...{ runtime, concurrency },
      onGone: (endedBy) => severed([relay, ...tcp.relays], endedBy),
      lambdaFunction: { ...subject.lambdaFunction, environment: withoutExtension(variables) },
    });
  }

  static async prepare(config: WebRunConfig): Promise<WebScene> {
    const { subject } = config;
    const { relay, variables } = await databaseAccess(subject, subject.database ?? config.database);
    const tcp = await TcpRelays.start(subject.tcp ?? [], () => undefined);
    return new WebScene(config, relay, tcp, variables(tcp.addresses));
  }

  /** Init, and the quick requests. */
  async begin(): Promise<void> {
    this.initError = await errorOfInit(this.environment);
    if (this.initError === undefined) this.answers = await Promise.all(this.sideBySide(this.config.request ?? {}));
  }

  /** The slow requests, and the Shutdown phase. */
  async end(): Promise<WebRunResult> {
    const { config, environment, initError, answers, tcp } = this;
    const { subject, slowRequest } = config;
    const running = initError === undefined && slowRequest !== undefined ? this.sideBySide(slowRequest) : [];
    if (running.length > 0) await sleep(SETTLE_MS);
    const { inFlight } = environment;
    const shutdown = await environment.shutdown();
    await Promise.all(running);
    await sleep(SETTLE_MS);
    const others = tcp.connections();
    return {
      ...{ subject: subject.name, initError, answers, inFlight, shutdown },
      logIn: logInOf(this.variables, this.loggedIn),
      outcomes: [...outcomesOf(this.loggedIn), ...others.map(({ outcome }) => outcome)],
      ...(subject.tcp === undefined ? {} : { tcp: others }),
      logs: environment.logs,
    };
  }

  /** Connections that the servers hold. */
  get held(): number {
    return [this.relay, ...this.tcp.relays]
      .flatMap(({ connections }) => connections)
      .filter(({ loggedIn, closedAt }) => loggedIn && closedAt === undefined).length;
  }

  async close(): Promise<void> {
    await this.environment.shutdown();
    await this.relay.close();
    await this.tcp.close();
  }

  private sideBySide(request: WebRequest): Promise<WebAnswer>[] {
    return Array.from({ length: this.config.concurrency }, () => this.environment.request(request));
  }

  private get loggedIn(): readonly RelayedConnection[] {
    return this.relay.connections.filter(({ loggedIn }) => loggedIn);
  }
}

/** A Web Function has no extension, and a budget of its own. */
function withoutExtension(variables: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const ofExtensions = ["SHUTDOWN_EXTENSION", "SHUTDOWN_BUDGET_MS"];
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !ofExtensions.includes(name)));
}

async function errorOfInit(environment: WebEnvironment): Promise<RunResult["initError"]> {
  try {
    await environment.init();
    return undefined;
  } catch (error) {
    if (error instanceof InitError) return error.error;
    throw error;
  }
}

/** The same verdict as that of every command; an answer that was cut off is not clean. */
export function webVerdict(result: WebRunResult): Verdict {
  return verdictOf(webFindings(result, `${result.subject} as a Web Function, ${result.inFlight} requests in flight,`));
}

function webFindings(result: WebRunResult, subject: string): Findings {
  const { answers, shutdown } = result;
  return {
    ...findingsOf({ ...result, subject, timeline: [], invocations: [] }),
    ...{ invocations: invocationsOf(answers), cutOff: shutdown.cutOff },
  };
}

/** Of all environments together. */
export function webStormVerdict({ results, abortedClients }: WebStormResult): Verdict {
  const [first] = results;
  if (first === undefined) throw new Error("no environment was played");
  const all = results.map((result) => webFindings(result, ""));
  const sum = (count: (findings: Findings) => number): number => all.reduce((total, each) => total + count(each), 0);
  const ends = results.map(({ shutdown }) => shutdown.endedBy);
  const starved = all.flatMap((each) => each.starved ?? []).sort((a, b) => b.waitMs - a.waitMs);
  const [worst] = starved;
  const failed = results.find(({ initError }) => initError !== undefined)?.initError;
  const { firstError } = all.find(({ invocations }) => invocations.firstError !== undefined)?.invocations ?? {};
  return verdictOf({
    ...webFindings(first, `${first.subject} in ${results.length} environments of a Web Function`),
    ...(failed === undefined ? {} : { initError: failed }),
    invocations: {
      ok: sum(({ invocations }) => invocations.ok),
      failed: sum(({ invocations }) => invocations.failed),
      ...(firstError === undefined ? {} : { firstError }),
    },
    connections: {
      opened: sum(({ connections }) => connections.opened),
      closed: sum(({ connections }) => connections.closed),
      aborted: sum(({ connections }) => connections.aborted),
      leaked: sum(({ connections }) => connections.leaked),
    },
    endings: Object.fromEntries([...new Set(ends)].map((how) => [how, ends.filter((each) => each === how).length])),
    cutOff: sum(({ cutOff = 0 }) => cutOff),
    ...(abortedClients === undefined ? {} : { abortedClients }),
    ...(worst === undefined ? {} : { starved: { ...worst, environments: starved.length } }),
  });
}

/** What to change before anything else. */
export function webAdvice(result: WebRunResult): string | undefined {
  if (webVerdict(result).clean) return undefined;
  if (result.initError !== undefined) return "listen on the address in AWS_LAMBDA_HTTP_ENDPOINT within 10 seconds";
  return [
    "close the server and the pool at SIGTERM, within a second, without a change of the code:",
    "    NODE_OPTIONS=--import=lambda-graceful-shutdown/attach",
    "or with closeOnShutdown(server) and closeOnShutdown(pool) of lambda-graceful-shutdown",
  ].join("\n");
}
