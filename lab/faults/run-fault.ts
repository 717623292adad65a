import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Login } from "../mysql/server";
import { endingOf } from "../lambda/ending";
import { ExecutionEnvironment, type InvocationResult, type ShutdownResult } from "../lambda/execution-environment";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { Relay } from "../mysql/relay";
import { findServerProgram, startThrowawayServer, type ThrowawayServer } from "../mysql/throwaway-server";
import { droppedPackets, silentServer, type BlackHole } from "../mysql/black-hole";
import type { Certificates } from "../mysql/certificates";
import { BUDGET_MS, type Fault, type ShutdownExtension } from "./fault";
import { startSecretsManagerMock } from "../lambda/secrets-manager-mock";
import { contradictions, shutdownLines, type ShutdownLine } from "./shutdown-line";
import { connections, endConnections, statements, type Scenario } from "./steps";

/** Whom a fault is played to. */
export interface FaultedFunction {
  readonly name: string;
  readonly directory: string;
  readonly handler: string;
  /** Whether it logs what its Shutdown came to; other people's ways do not. */
  readonly logsShutdown: boolean;
  /** The events that it understands. @default - those of the faults */
  readonly events?: Scenario["events"];
  /** Variables of its own. @default none */
  readonly environment?: Readonly<Record<string, string>>;
  /** The variables that tell a stranger's handler, whose errors are its own, where the database is. @default - DB_* */
  readonly userVariables?: (login: Login) => Readonly<Record<string, string>>;
}

export interface TestBed {
  readonly runtime: LambdaRuntime;
  readonly certificates: Certificates;
  /** For the faults that leave a server as it was; it shows the certificate with the right name. */
  readonly server: ThrowawayServer;
}

/** What only a server can tell; `unreachable` if there is none any more. */
type Told<T> = T | "unreachable";

export interface FaultResult {
  readonly fault: string;
  readonly function: string;
  readonly extension: ShutdownExtension;
  /** `ok`, or type and message of the error. */
  readonly invocations: readonly string[];
  /** Milliseconds from the signal to the end of the process. */
  readonly goneMs: number;
  readonly endedBy: ShutdownResult["endedBy"];
  /** By how much the lab's own SIGKILL missed the deadline: where that is much, the machine stood still. */
  readonly killLateMs: number;
  /** What the server held after the environment was gone. */
  readonly connectionsLeft: Told<number>;
  readonly statementsLeft: Told<number>;
  /** Rise of the server's own counter, without what was the fault's doing. */
  readonly abortedClients: Told<number>;
  /** Whether somebody else could change the row that the function may have locked. */
  readonly locksFree: Told<boolean>;
  readonly unhandledRejection: boolean;
  readonly lines: readonly ShutdownLine[];
  /** What differs from how it should be, a sentence each; empty is what everybody wants. */
  readonly problems: readonly string[];
}

const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:012345678901:secret:lab";
const UNHANDLED = /unhandled\s?(promise\s?)?rejection/i;
const TIMEOUT_MS = 10_000;
/** Milliseconds that the server gets to notice that connections ended; it is done in a few where all is well. */
const SETTLE_MS = 1_000;
const POLL_EVERY_MS = 20;
const LOCK_WAIT_SECONDS = 1;

/** Plays one fault to one function, from Init to Shutdown, and asks the server what it is left with. */
export async function runFault(
  fault: Fault,
  faulted: FaultedFunction,
  extension: ShutdownExtension,
  testBed: TestBed,
): Promise<FaultResult> {
  const server = await serverFor(fault, testBed);
  const secrets = await startSecretsManagerMock(SECRET_ARN);
  const relay = await Relay.start({ host: server.host, port: server.port });
  const target = await targetOf(fault, relay);
  const createdAt = performance.now();
  const environment = new ExecutionEnvironment({
    runtime: testBed.runtime,
    extensions:
      extension === "internal"
        ? []
        : [
            {
              name: "insights-stand-in",
              command: [process.execPath, join(__dirname, "../lambda/insights-stand-in.mjs")],
            },
          ],
    onGone: () => {
      relay.sever();
    },
    lambdaFunction: {
      name: "faulted",
      ...(fault.slowImport === true
        ? { directory: join(__dirname, "slow-import"), handler: "index.handler" }
        : { directory: faulted.directory, handler: faulted.handler }),
      memorySizeMb: 128,
      timeoutMs: fault.timeoutMs ?? TIMEOUT_MS,
      environment: {
        ...faulted.environment,
        SHUTDOWN_EXTENSION: extension,
        SHUTDOWN_BUDGET_MS: String(BUDGET_MS[extension]),
        DB_PORT: String(target.port),
        DB_NAME: server.database,
        DB_USER: server.user,
        ...login(fault, server, secrets.endpoint),
        ...tls(fault, testBed.certificates),
        ...fault.environment,
        ...faulted.userVariables?.({ ...loginOf(server), port: target.port }),
      },
    },
  });
  try {
    await prepare(server);
    const scenario: Scenario = {
      ...{ environment, server, secrets },
      events: faulted.events ?? { quick: {}, slow: { sleepSeconds: 30 } },
      invocations: [],
      pendingInit: Promise.resolve(),
      serverIs: "well",
      abortedBefore: await server.abortedClients(),
    };
    for (const step of fault.steps) await step(scenario);
    await environment.shutdown();
    await scenario.pendingInit;
    const invocations = (await Promise.all(scenario.invocations)).map(describe);
    const witnessed = endingOf(environment.timeline);
    const { goneMs, endedBy, killedAfterMs = BUDGET_MS[extension] } = witnessed;
    const played = {
      ...{ fault: fault.name, function: faulted.name, extension, invocations },
      ...{ goneMs, endedBy, killLateMs: killedAfterMs - BUDGET_MS[extension] },
      ...(await ask(scenario)),
      unhandledRejection: environment.logs.some((line) => UNHANDLED.test(line)),
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
    const problems = problemsOf(played, fault, faulted, untrue);
    if (fault.invocations.includes("ok") && relay.connections.every(({ threadId }) => threadId === undefined)) {
      problems.push("it opened no connection, so nothing is proven");
    }
    return { ...played, problems };
  } finally {
    await environment.shutdown();
    await relay.close();
    await Promise.all([secrets.close(), target.close()]);
    if (server === testBed.server) await endConnections(server);
    else await server.stop();
  }
}

export async function startServer(
  certificates: Certificates,
  certificate: "right name" | "wrong name" = "right name",
): Promise<ThrowawayServer> {
  const program = await findServerProgram("mariadbd");
  if (program === undefined) throw new Error("the faults need a real server: install mariadb-server-core");
  const { rightName, wrongName } = certificates;
  return startThrowawayServer(program, { certificate: certificate === "right name" ? rightName : wrongName });
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

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

function login(fault: Fault, { password }: ThrowawayServer, endpoint: string): Readonly<Record<string, string>> {
  if (fault.environment?.["DB_AUTH"] !== "secret") return { DB_AUTH: "password", DB_PASSWORD: password };
  return {
    DB_SECRET_ARN: SECRET_ARN,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
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

/** The row that the function locks. */
async function prepare(server: ThrowawayServer): Promise<void> {
  await server.administer("CREATE TABLE IF NOT EXISTS lab.account (id INT PRIMARY KEY, balance INT) ENGINE=InnoDB");
  await server.administer("INSERT IGNORE INTO lab.account VALUES (1, 0)");
}

function describe(result: InvocationResult): string {
  if (!result.ok) return `${result.error.errorType}: ${result.error.errorMessage}`;
  // Behind API Gateway, this is how a handler says that it has failed.
  const { statusCode } = (result.payload ?? {}) as { readonly statusCode?: unknown };
  return typeof statusCode === "number" && statusCode >= 500 ? `statusCode ${statusCode}` : "ok";
}

function loginOf({ host, port, user, password, database }: ThrowawayServer): Login {
  return { host, port, user, password, database };
}

async function ask({
  server,
  serverIs,
  abortedBefore,
}: Scenario): Promise<Pick<FaultResult, "connectionsLeft" | "statementsLeft" | "abortedClients" | "locksFree">> {
  if (serverIs === "gone") {
    const told = "unreachable";
    return { connectionsLeft: told, statementsLeft: told, abortedClients: told, locksFree: told };
  }
  if (serverIs === "frozen") server.thaw();
  const deadline = performance.now() + SETTLE_MS;
  while ((await connections(server)) > 0 && performance.now() < deadline) await sleep(POLL_EVERY_MS);
  await server.administer("SET SESSION innodb_lock_wait_timeout = ?", [LOCK_WAIT_SECONDS]);
  const changed = server.administer("UPDATE lab.account SET balance = balance + 1 WHERE id = 1");
  return {
    locksFree: await changed.then(
      () => true,
      () => false,
    ),
    connectionsLeft: await connections(server),
    statementsLeft: await statements(server),
    abortedClients: (await server.abortedClients()) - abortedBefore,
  };
}

function problemsOf(
  played: Omit<FaultResult, "problems">,
  fault: Fault,
  { logsShutdown, userVariables }: FaultedFunction,
  untrue: readonly string[],
): string[] {
  const problems: string[] = [];
  const { invocations, goneMs, endedBy, lines } = played;
  const budgetMs = BUDGET_MS[played.extension];
  if (endedBy !== "itself" || goneMs > budgetMs) {
    problems.push(`end of the process: ${endedBy}, after ${goneMs.toFixed(0)} of ${budgetMs} ms`);
  }
  const asExpected =
    invocations.length === fault.invocations.length &&
    fault.invocations.every((expected, index) =>
      expected === "ok"
        ? invocations[index] === "ok"
        : userVariables !== undefined || expected.test(invocations[index] ?? ""),
    );
  if (!asExpected) problems.push(`the invocations came to ${JSON.stringify(invocations)}`);
  const { connectionsLeft, statementsLeft, abortedClients, locksFree } = played;
  if (fault.outOfReach !== true) {
    if (connectionsLeft !== "unreachable" && connectionsLeft > 0) problems.push(`connections left: ${connectionsLeft}`);
    if (statementsLeft !== "unreachable" && statementsLeft > 0) problems.push(`statements left: ${statementsLeft}`);
    if (abortedClients !== "unreachable" && abortedClients > 0) problems.push(`Aborted_clients: +${abortedClients}`);
    if (locksFree === false) problems.push("a lock is still held");
  }
  if (played.unhandledRejection) problems.push("an unhandled rejection in the log");
  if (logsShutdown)
    problems.push(...problemsOfLine(lines, fault), ...untrue.map((lie) => `the line is not true: ${lie}`));
  return problems;
}

function problemsOfLine(lines: readonly ShutdownLine[], { line: expected }: Fault): readonly string[] {
  const wanted = expected === undefined ? 0 : 1;
  const [line] = lines;
  if (lines.length !== wanted) return [`${lines.length} lines about the shutdown in the log instead of ${wanted}`];
  if (line === undefined || expected === undefined) return [];
  const problems: string[] = [];
  if (line.phase !== expected.phase) problems.push(`the line has phase ${line.phase}, not ${expected.phase}`);
  for (const [name, hook] of Object.entries(expected.hooks)) {
    const entry = line.hooks.find((each) => each.name === name);
    if (!isDeepStrictEqual({ ...entry, ...hook }, entry)) {
      problems.push(`the line has ${JSON.stringify(entry)}, not ${JSON.stringify({ name, ...hook })}`);
    }
  }
  return problems;
}
