import { setTimeout as sleep } from "node:timers/promises";
import { InitError } from "../lambda/lambda-errors";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { WebEnvironment, type WebAnswer, type WebRequest, type WebShutdownResult } from "../lambda/web-environment";
import type { DatabaseServer } from "../mysql/server";
import { severed } from "../mysql/severed";
import type { Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { logInOf, type LogIn } from "./log-in";
import { outcomesOf } from "./outcome";
import type { RunResult } from "./run";
import { connectionsOf, invocationsOf, verdictOf, type Verdict } from "./verdict";

/** What became of the connections and the requests of one environment of a Web Function. */
export interface WebRunResult extends Pick<
  RunResult,
  "subject" | "initError" | "outcomes" | "abortedClients" | "logs"
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
  const { subject, runtime, concurrency, request = {}, slowRequest } = config;
  const database = subject.database ?? config.database;
  const abortedBefore = await database.abortedClients();
  const { relay, variables } = await databaseAccess(subject, database);
  const environment = new WebEnvironment({
    runtime,
    concurrency,
    onGone: (endedBy) => severed([relay], endedBy),
    lambdaFunction: { ...subject.lambdaFunction, environment: withoutExtension(variables()) },
  });
  const side = (each: WebRequest): Promise<WebAnswer>[] =>
    Array.from({ length: concurrency }, () => environment.request(each));
  try {
    const initError = await errorOfInit(environment);
    const answers = initError === undefined ? await Promise.all(side(request)) : [];
    const running = initError === undefined && slowRequest !== undefined ? side(slowRequest) : [];
    if (running.length > 0) await sleep(SETTLE_MS);
    const { inFlight } = environment;
    const shutdown = await environment.shutdown();
    await Promise.all(running);
    await sleep(SETTLE_MS);
    const connections = relay.connections.filter(({ loggedIn }) => loggedIn);
    return {
      ...{ subject: subject.name, initError, answers, inFlight, shutdown },
      logIn: logInOf(variables(), connections),
      outcomes: outcomesOf(connections),
      ...(database.kind === "fake" ? {} : { abortedClients: (await database.abortedClients()) - abortedBefore }),
      logs: environment.logs,
    };
  } finally {
    await environment.shutdown();
    await relay.close();
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
  const { subject, initError, outcomes, answers, inFlight, shutdown, abortedClients } = result;
  return verdictOf({
    subject: `${subject} as a Web Function, ${inFlight} requests in flight,`,
    initError,
    invocations: invocationsOf(answers),
    connections: connectionsOf(outcomes),
    endings: { [shutdown.endedBy]: 1 },
    cutOff: shutdown.cutOff,
    ...(abortedClients === undefined ? {} : { abortedClients }),
    ...(shutdown.starved === undefined ? {} : { starved: { ...shutdown.starved, environments: 1 } }),
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
