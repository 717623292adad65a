import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FakeMysql, Certificates } from "#fake-mysql";
import { endingOf } from "../lambda/ending";
import { ExecutionEnvironment, InitError, type InvocationResult } from "../lambda/execution-environment";
import { FAKE_INSIGHTS } from "../lambda/fake-insights";
import { startFakeSecretsManager, type FakeSecretsManager } from "../lambda/fake-secrets-manager";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { BlackHole } from "../mysql/black-hole";
import { Relay } from "../mysql/relay";
import type { Login } from "../mysql/server";
import { severed } from "../mysql/severed";
import type { ThrowawayServer } from "../mysql/throwaway-server";
import type { Fault } from "./fault";
import type { FaultedFunction, FaultResult } from "./fault-result";
import { createTables, fakeServer, loginOf, startServer, targetOf } from "./fault-servers";
import { problemsOf, problemsOfSecrecy, problemsOfTime } from "./problems";
import { BUDGET_MS, type ShutdownExtension } from "./shutdown-extension";
import { contradictions, shutdownLines } from "./shutdown-line";
import { abortedClients, connections, endConnections, locksAreFree, statements, type Scenario } from "./steps";

export interface TestBed {
  readonly runtime: LambdaRuntime;
  readonly certificates: Certificates;
  /** For the faults that leave a server as it was; it shows the certificate with the right name. */
  readonly server: ThrowawayServer;
}

const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:012345678901:secret:lab";
const UNHANDLED = /unhandled\s?(promise\s?)?rejection/i;
const TIMEOUT_MS = 10_000;
/** Milliseconds that the server gets to notice that connections ended; it is done in a few where all is well. */
const SETTLE_MS = 1_000;
const POLL_EVERY_MS = 20;

/** Plays one fault to one function, from Init to Shutdown, and asks the server what it is left with. */
export async function runFault(
  fault: Fault,
  faulted: FaultedFunction,
  extension: ShutdownExtension,
  testBed: TestBed,
): Promise<FaultResult> {
  const { ownServer } = fault;
  const { certificates } = testBed;
  const server = ownServer === undefined ? testBed.server : await startServer(certificates, ownServer.certificate);
  const secrets = await startFakeSecretsManager(SECRET_ARN);
  const fake = await fakeServer(fault, certificates);
  const login = loginOf(fake ?? server);
  const relay = await Relay.start({ host: login.host, port: login.port });
  const target = await targetOf(fault, relay);
  const play = new FaultPlay({ fault, faulted, extension, testBed, server, fake, secrets, login, relay, target });
  try {
    return await play.run();
  } finally {
    await play.environment.shutdown();
    await relay.close();
    await Promise.all([secrets.close(), target.close(), fake?.close()]);
    if (server === testBed.server) await endConnections(server);
    else await server.stop();
  }
}

interface FaultPlayConfig {
  readonly fault: Fault;
  readonly faulted: FaultedFunction;
  readonly extension: ShutdownExtension;
  readonly testBed: TestBed;
  readonly server: ThrowawayServer;
  readonly fake: FakeMysql | undefined;
  readonly secrets: FakeSecretsManager;
  /** To the fake if there is one. */
  readonly login: Login;
  readonly relay: Relay;
  readonly target: BlackHole;
}

class FaultPlay {
  readonly environment: ExecutionEnvironment;
  private readonly createdAt = performance.now();

  constructor(private readonly config: FaultPlayConfig) {
    const { fault, faulted, extension, testBed, relay } = config;
    this.environment = new ExecutionEnvironment({
      runtime: testBed.runtime,
      extensions: extension === "internal" ? [] : [FAKE_INSIGHTS],
      onGone: (endedBy) => severed([relay], endedBy),
      lambdaFunction: {
        name: "faulted",
        ...(fault.slowImport === true
          ? { directory: join(__dirname, "slow-import"), handler: "index.handler" }
          : { directory: faulted.directory, handler: faulted.handler }),
        layerPaths: faulted.layerPaths ?? [],
        memorySizeMb: 128,
        timeoutMs: fault.timeoutMs ?? TIMEOUT_MS,
        environment: this.variables,
      },
    });
  }

  async run(): Promise<FaultResult> {
    const { fault, faulted, server, secrets, login } = this.config;
    await createTables(server);
    secrets.put({ username: login.user, password: login.password });
    const scenario = await this.scenario();
    const failedInit = await playSteps(fault.steps, scenario);
    await this.environment.shutdown();
    await scenario.pendingInit;
    const ended = await Promise.all(scenario.invocations);
    const played = await this.observed(scenario, ended);
    // Where Init fails, nothing that follows says any more about the function.
    if (failedInit !== undefined) return { ...played, problems: [`Init fails: ${failedInit.message}`] };
    const confidential = [login.password, ...(fault.confidential ?? [])];
    const problems = [
      ...scenario.problems,
      ...problemsOf(played, fault, faulted, this.untrueIn(played)),
      ...problemsOfTime(ended, fault),
      ...problemsOfSecrecy(this.environment.logs, ended, confidential),
    ];
    for (const check of fault.afterwards ?? []) problems.push(...(await check(scenario, played)));
    const mustConnect = fault.invocations.some((expected) => expected === "ok" || "answers" in Object(expected));
    if (mustConnect && played.connectionsOpened === 0) problems.push("it opened no connection, so nothing is proven");
    return { ...played, problems };
  }

  private get variables(): Readonly<Record<string, string>> {
    const { fault, faulted, extension, testBed, server, secrets, login, target } = this.config;
    return {
      ...faulted.environment,
      SHUTDOWN_EXTENSION: extension,
      SHUTDOWN_BUDGET_MS: String(BUDGET_MS[extension]),
      DB_PORT: String(target.port),
      DB_NAME: server.database,
      DB_USER: login.user,
      ...authVariables(fault, login.password, secrets.endpoint),
      ...tlsVariables(fault, testBed.certificates),
      ...fault.environment,
      ...faulted.userVariables?.({ ...login, port: target.port }),
    };
  }

  private async scenario(): Promise<Scenario> {
    const { faulted, server, fake, secrets } = this.config;
    return {
      ...{ environment: this.environment, server, fake, secrets },
      events: faulted.events ?? { quick: {}, slow: { sleepSeconds: 30 } },
      invocations: [],
      pendingInit: Promise.resolve(),
      serverIs: "well",
      problems: [],
      abortedBefore: fake === undefined ? await server.abortedClients() : 0,
    };
  }

  private async observed(
    scenario: Scenario,
    ended: readonly InvocationResult[],
  ): Promise<Omit<FaultResult, "problems">> {
    const { fault, faulted, extension, relay } = this.config;
    const { environment, createdAt } = this;
    const { signalAt } = endingOf(environment.timeline);
    return {
      ...{ fault: fault.name, function: faulted.name, extension },
      invocations: ended.map(describe),
      ...endOfProcess(environment, extension),
      connectionsOpened: relay.connections.filter(({ threadId }) => threadId !== undefined).length,
      ...(await askServer(scenario)),
      quitsAfterMs: relay.connections.flatMap(({ quitAt = NaN }) => {
        const afterMs = quitAt - createdAt - signalAt;
        return afterMs >= 0 ? [afterMs] : [];
      }),
      unhandledRejection: hasUnhandledRejection(environment.logs),
      lines: shutdownLines(environment.logs),
    };
  }

  /** What the function's line says and the lab did not see. */
  private untrueIn({ lines, goneMs }: Pick<FaultResult, "lines" | "goneMs">): readonly string[] {
    const { signalAt } = endingOf(this.environment.timeline);
    const seen = {
      budgetMs: BUDGET_MS[this.config.extension],
      goneMs,
      signalAt: this.createdAt + signalAt,
      connections: this.config.relay.connections,
    };
    return lines.flatMap((line) => contradictions(line, seen));
  }
}

export function endOfProcess(
  { timeline, starved }: Pick<ExecutionEnvironment, "timeline" | "starved">,
  extension: ShutdownExtension,
): Pick<FaultResult, "goneMs" | "endedBy" | "killLateMs" | "starved"> {
  const { goneMs, endedBy, killedAfterMs = BUDGET_MS[extension] } = endingOf(timeline);
  const killLateMs = killedAfterMs - BUDGET_MS[extension];
  return { goneMs, endedBy, killLateMs, ...(starved === undefined ? {} : { starved }) };
}

export function hasUnhandledRejection(logs: readonly string[]): boolean {
  return logs.some((line) => UNHANDLED.test(line) && shutdownLines([line]).length === 0);
}

/**
 * Stops where Init fails, as it does for a handler that connects there and throws, and where a step cannot run,
 * such as one that waits for a statement which never runs: then that is a problem of the function.
 */
export async function playSteps<S extends { readonly problems: string[] }>(
  steps: readonly ((scenario: S) => unknown)[],
  scenario: S,
): Promise<InitError | undefined> {
  try {
    for (const step of steps) await step(scenario);
  } catch (error) {
    if (error instanceof InitError) return error;
    scenario.problems.push(error instanceof Error ? error.message : String(error));
  }
  return undefined;
}

function authVariables(fault: Fault, password: string, endpoint: string): Readonly<Record<string, string>> {
  const auth = fault.environment?.["DB_AUTH"] ?? "password";
  if (auth === "password") return { DB_AUTH: auth, DB_PASSWORD: password };
  return {
    ...(auth === "secret" ? { DB_SECRET_ARN: SECRET_ARN, AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint } : {}),
    // The SDK signs with anything; without it, it would look for a role on the network.
    AWS_ACCESS_KEY_ID: "mock",
    AWS_SECRET_ACCESS_KEY: "mock",
  };
}

function tlsVariables({ trusts }: Fault, certificates: Certificates): Readonly<Record<string, string>> {
  if (trusts === undefined) return { DB_HOST: "127.0.0.1", DB_TLS: "off" };
  const file = trusts === "authority" ? certificates.authorityFile : certificates.otherAuthorityFile;
  return { DB_HOST: "localhost", DB_TLS: "verify", NODE_EXTRA_CA_CERTS: file };
}

export function describe(result: InvocationResult): string {
  if (!result.ok) return `${result.error.errorType}: ${result.error.errorMessage}`;
  // Behind API Gateway, this is how a handler says that it has failed.
  const { statusCode } = (result.payload ?? {}) as { readonly statusCode?: unknown };
  return typeof statusCode === "number" && statusCode >= 500
    ? `statusCode ${statusCode}`
    : `ok ${JSON.stringify(result.payload)}`;
}

async function askServer(
  scenario: Scenario,
): Promise<Pick<FaultResult, "connectionsLeft" | "statementsLeft" | "abortedClients" | "locksFree">> {
  if (scenario.serverIs === "gone") {
    const told = "unreachable";
    return { connectionsLeft: told, statementsLeft: told, abortedClients: told, locksFree: told };
  }
  if (scenario.serverIs === "frozen") scenario.server.thaw();
  const deadline = performance.now() + SETTLE_MS;
  while ((await connections(scenario)) > 0 && performance.now() < deadline) await sleep(POLL_EVERY_MS);
  return {
    locksFree: await locksAreFree(scenario),
    connectionsLeft: await connections(scenario),
    statementsLeft: await statements(scenario),
    abortedClients: (await abortedClients(scenario)) - scenario.abortedBefore,
  };
}
