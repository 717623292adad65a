import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Login } from "../mysql/server";
import { endingOf } from "../lambda/ending";
import { severed } from "../mysql/severed";
import { ExecutionEnvironment, InitError, type InvocationResult } from "../lambda/execution-environment";
import { FAKE_INSIGHTS } from "../lambda/fake-insights";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { Relay } from "../mysql/relay";
import { findServerProgram, startThrowawayServer, type ThrowawayServer } from "../mysql/throwaway-server";
import { FakeMysql } from "#fake-mysql";
import { droppedPackets, silentServer, type BlackHole } from "../mysql/black-hole";
import { freePort } from "../processes/free-port";
import type { Certificates } from "#fake-mysql";
import type { Fault } from "./fault";
import type { FaultedFunction, FaultResult } from "./fault-result";
import { BUDGET_MS, type ShutdownExtension } from "./shutdown-extension";
import { startFakeSecretsManager } from "../lambda/fake-secrets-manager";
import { problemsOf, problemsOfSecrecy, problemsOfTime } from "./problems";
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
  const server = await serverFor(fault, testBed);
  const secrets = await startFakeSecretsManager(SECRET_ARN);
  const fake = await fakeServer(fault, testBed.certificates);
  const { host, port, user, password } = loginOf(fake ?? server);
  const relay = await Relay.start({ host, port });
  const target = await targetOf(fault, relay);
  const createdAt = performance.now();
  const environment = new ExecutionEnvironment({
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
      environment: {
        ...faulted.environment,
        SHUTDOWN_EXTENSION: extension,
        SHUTDOWN_BUDGET_MS: String(BUDGET_MS[extension]),
        DB_PORT: String(target.port),
        DB_NAME: server.database,
        DB_USER: user,
        ...login(fault, password, secrets.endpoint),
        ...tls(fault, testBed.certificates),
        ...fault.environment,
        ...faulted.userVariables?.({ ...loginOf(fake ?? server), port: target.port }),
      },
    },
  });
  try {
    await prepare(server);
    secrets.put({ username: user, password });
    const scenario: Scenario = {
      ...{ environment, server, fake, secrets },
      events: faulted.events ?? { quick: {}, slow: { sleepSeconds: 30 } },
      invocations: [],
      pendingInit: Promise.resolve(),
      serverIs: "well",
      problems: [],
      abortedBefore: fake === undefined ? await server.abortedClients() : 0,
    };
    const failedInit = await carryOut(fault.steps, scenario);
    await environment.shutdown();
    await scenario.pendingInit;
    const ended = await Promise.all(scenario.invocations);
    const invocations = ended.map(describe);
    const witnessed = endingOf(environment.timeline);
    const { goneMs, endedBy, killedAfterMs = BUDGET_MS[extension] } = witnessed;
    const played = {
      ...{ fault: fault.name, function: faulted.name, extension, invocations },
      ...{ goneMs, endedBy, killLateMs: killedAfterMs - BUDGET_MS[extension] },
      ...(environment.starved === undefined ? {} : { starved: environment.starved }),
      connectionsOpened: relay.connections.filter(({ threadId }) => threadId !== undefined).length,
      ...(await ask(scenario)),
      quitsAfterMs: relay.connections.flatMap(({ quitAt = NaN }) => {
        const afterMs = quitAt - createdAt - witnessed.signalAt;
        return afterMs >= 0 ? [afterMs] : [];
      }),
      unhandledRejection: environment.logs.some((line) => UNHANDLED.test(line) && shutdownLines([line]).length === 0),
      lines: shutdownLines(environment.logs),
    };
    const untrue = played.lines.flatMap((line) =>
      contradictions(line, {
        budgetMs: BUDGET_MS[extension],
        goneMs: witnessed.goneMs,
        signalAt: createdAt + witnessed.signalAt,
        connections: relay.connections,
      }),
    );
    const problems = [...scenario.problems, ...problemsOf(played, fault, faulted, untrue)];
    problems.push(
      ...problemsOfTime(ended, fault),
      ...problemsOfSecrecy(environment.logs, ended, [password, ...(fault.confidential ?? [])]),
    );
    for (const check of fault.afterwards ?? []) problems.push(...(await check(scenario, played)));
    if (
      fault.invocations.some((expected) => expected === "ok" || "answers" in Object(expected)) &&
      played.connectionsOpened === 0
    ) {
      problems.push("it opened no connection, so nothing is proven");
    }
    // Where Init fails, nothing that follows says any more about the function.
    return { ...played, problems: failedInit === undefined ? problems : [`Init fails: ${failedInit.message}`] };
  } finally {
    await environment.shutdown();
    await relay.close();
    await Promise.all([secrets.close(), target.close(), fake?.close()]);
    if (server === testBed.server) await endConnections(server);
    else await server.stop();
  }
}

/**
 * Stops where Init fails, as it does for a handler that connects there and throws, and where a step cannot run,
 * such as one that waits for a statement which never runs: then that is a problem of the function.
 */
async function carryOut(steps: Fault["steps"], scenario: Scenario): Promise<InitError | undefined> {
  try {
    for (const step of steps) await step(scenario);
  } catch (error) {
    if (error instanceof InitError) return error;
    scenario.problems.push(error instanceof Error ? error.message : String(error));
  }
  return undefined;
}

export async function startServer(
  certificates: Certificates,
  certificate: NonNullable<Fault["ownServer"]>["certificate"] = "right name",
): Promise<ThrowawayServer> {
  const program = await findServerProgram("mariadbd");
  if (program === undefined) throw new Error("the faults need a real server: install mariadb-server-core");
  const { rightName, wrongName, nameOnly, addressOnly } = certificates;
  const shown = {
    ...{ "right name": rightName, "wrong name": wrongName },
    ...{ "name only": nameOnly, "address only": addressOnly },
  }[certificate];
  return startThrowawayServer(program, { certificate: shown });
}

async function fakeServer({ fake, trusts }: Fault, { rightName }: Certificates): Promise<FakeMysql | undefined> {
  if (fake === undefined) return undefined;
  return FakeMysql.start({ ...fake, ...(trusts === undefined ? {} : { certificate: rightName }) });
}

async function serverFor({ ownServer }: Fault, { server, certificates }: TestBed): Promise<ThrowawayServer> {
  return ownServer === undefined ? server : startServer(certificates, ownServer.certificate);
}

async function targetOf({ target }: Fault, relay: Relay): Promise<BlackHole> {
  switch (target ?? "server") {
    case "server":
      return { port: relay.port, close: () => Promise.resolve() };
    case "nobody":
      return { port: await freePort(), close: () => Promise.resolve() };
    case "dropped packets":
      return droppedPackets();
    case "silent server":
      return silentServer();
  }
}

function login(fault: Fault, password: string, endpoint: string): Readonly<Record<string, string>> {
  const auth = fault.environment?.["DB_AUTH"] ?? "password";
  if (auth === "password") return { DB_AUTH: auth, DB_PASSWORD: password };
  return {
    ...(auth === "secret" ? { DB_SECRET_ARN: SECRET_ARN, AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint } : {}),
    // The SDK signs with anything; without it, it would look for a role on the network.
    AWS_ACCESS_KEY_ID: "mock",
    AWS_SECRET_ACCESS_KEY: "mock",
  };
}

function tls({ trusts }: Fault, certificates: Certificates): Readonly<Record<string, string>> {
  if (trusts === undefined) return { DB_HOST: "127.0.0.1", DB_TLS: "off" };
  const file = trusts === "authority" ? certificates.authorityFile : certificates.otherAuthorityFile;
  return { DB_HOST: "localhost", DB_TLS: "verify", NODE_EXTRA_CA_CERTS: file };
}

/** The row that the function locks, and the table that it writes to. */
async function prepare(server: ThrowawayServer): Promise<void> {
  await server.administer("CREATE TABLE IF NOT EXISTS lab.account (id INT PRIMARY KEY, balance INT) ENGINE=InnoDB");
  await server.administer("INSERT IGNORE INTO lab.account VALUES (1, 0)");
  await server.administer("CREATE TABLE IF NOT EXISTS lab.ledger (entry VARCHAR(40)) ENGINE=InnoDB");
  await server.administer("DELETE FROM lab.ledger");
}

function describe(result: InvocationResult): string {
  if (!result.ok) return `${result.error.errorType}: ${result.error.errorMessage}`;
  // Behind API Gateway, this is how a handler says that it has failed.
  const { statusCode } = (result.payload ?? {}) as { readonly statusCode?: unknown };
  return typeof statusCode === "number" && statusCode >= 500
    ? `statusCode ${statusCode}`
    : `ok ${JSON.stringify(result.payload)}`;
}

function loginOf(server: ThrowawayServer | FakeMysql): Login {
  const { host, port, database } = server;
  return "account" in server
    ? { host, port, database, user: server.account.user, password: server.account.password }
    : { host, port, database, user: server.user, password: server.password };
}

async function ask(
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
