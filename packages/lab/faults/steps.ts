import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionEnvironment, InvocationResult } from "../lambda/execution-environment";
import type { FakeMysql, Script } from "#fake-mysql";
import type { ThrowawayServer } from "../mysql/throwaway-server";
import type { FakeSecretsManager, SecretsManagerBehaviour } from "../lambda/fake-secrets-manager";

/** What a fault works on: one execution environment, and the server that it uses. */
export interface Scenario {
  readonly environment: ExecutionEnvironment;
  readonly server: ThrowawayServer;
  /** What the function talks to in its place, if the fault asks for that. */
  readonly fake: FakeMysql | undefined;
  readonly secrets: FakeSecretsManager;
  /** What makes this handler run a statement: one that is done at once, and one that takes 30 seconds. */
  readonly events: { readonly quick: unknown; readonly slow: unknown };
  /** Also those that have not ended. */
  readonly invocations: Promise<InvocationResult>[];
  /** Resolves when an Init that nobody waits for has ended, one way or the other. */
  pendingInit: Promise<void>;
  serverIs: "well" | "frozen" | "gone";
  /** What a step has found to be wrong, a sentence each. */
  readonly problems: string[];
  /** `Aborted_clients` before the function could do anything about it. */
  abortedBefore: number;
}

/** One thing that happens. Each fault is a list of them. */
export type Step = (scenario: Scenario) => Promise<void> | void;

/** A step that needs no MySQL server. */
export type EnvironmentStep = (
  scenario: Pick<Scenario, "environment" | "events" | "invocations">,
) => Promise<void> | void;

const POLL_EVERY_MS = 20;
const GIVE_UP_AFTER_MS = 10_000;
const LOCK_WAIT_SECONDS = 1;

export const init: EnvironmentStep = async ({ environment }) => environment.init();

/** Takes Init to the middle of the handler's module. */
export const beginInit: Step = async (scenario) => {
  scenario.pendingInit = scenario.environment.init().catch(() => undefined);
  await until("the runtime started", () =>
    scenario.environment.timeline.some(({ what }) => what.startsWith("runtime started")),
  );
  await sleep(300);
};

/** Invokes and waits for the end, good or bad. */
export function invoke(event: "quick" | "slow" | object): EnvironmentStep {
  return async ({ environment, events, invocations }) => {
    const invocation = environment.invoke(typeof event === "string" ? events[event] : event);
    invocations.push(invocation);
    await invocation;
  };
}

/** Invokes and goes on. */
export function begin(event: "quick" | "slow" | object): EnvironmentStep {
  return ({ environment, events, invocations }) => {
    invocations.push(environment.invoke(typeof event === "string" ? events[event] : event));
  };
}

export function wait(ms: number): EnvironmentStep {
  return async () => {
    await sleep(ms);
  };
}

export const freeze: EnvironmentStep = ({ environment }) => {
  environment.freeze();
};

export const thaw: EnvironmentStep = ({ environment }) => {
  environment.thaw();
};

/** The first of two: the second is the one of the Shutdown phase. */
export const sigterm: EnvironmentStep = ({ environment }) => {
  environment.signal("SIGTERM");
};

/** The function's statement has reached the server and is running there. */
export const statementRuns: Step = async (scenario) => {
  await until("a statement ran", async () => (await statements(scenario)) > 0);
};

export function statementsRun(number: number): Step {
  return async (scenario) => {
    await until(`${number} statements ran`, async () => (await statements(scenario)) === number);
  };
}

/** The server has closed every connection of the function by itself, which counts as aborted without a fault. */
export const connectionsGone: Step = async (scenario) => {
  await until("the server had let go", async () => (await connections(scenario)) === 0);
  scenario.abortedBefore = await scenario.server.abortedClients();
};

export const freezeServer: Step = (scenario) => {
  scenario.server.freeze();
  scenario.serverIs = "frozen";
};

export const killServer: Step = async (scenario) => {
  scenario.server.kill();
  scenario.serverIs = "gone";
  // Its kernel closes the connections of a process that is gone; nobody announces when that is done.
  await sleep(100);
};

export const restartServer: Step = async (scenario) => {
  await scenario.server.restart();
  scenario.abortedBefore = await scenario.server.abortedClients();
};

/**
 * The server gives up on a connection that has been silent for this long; for connections that begin after this step.
 */
export function waitTimeout(seconds: number): Step {
  return async ({ server }) => {
    await server.administer("SET GLOBAL wait_timeout = ?", [seconds]);
  };
}

/** The zone of connections that begin after this step. */
export function serverTimeZone(zone: string): Step {
  return async ({ server }) => {
    await server.administer("SET GLOBAL time_zone = ?", [zone]);
  };
}

/** The server's password, and what Secrets Manager says it is. They differ while a rotation is under way. */
export function passwords(atServer: string, inSecret: string): Step {
  return async ({ server, secrets }) => {
    secrets.put({ username: server.user, password: inSecret });
    await server.administer("ALTER USER ?@'127.0.0.1' IDENTIFIED BY ?", [server.user, atServer]);
  };
}

/** What Secrets Manager says is the password of the fake server's account. */
export function passwordInSecret(password: string): Step {
  return (scenario) => {
    scenario.secrets.put({ username: fakeOf(scenario).account.user, password });
  };
}

/** The fake server's half of a rotation. */
export function passwordAtServer(password: string): Step {
  return server((fake) => {
    fake.account = { ...fake.account, password };
  });
}

/** The server's password, which the function is not told. */
export function changePassword(atServer: string): Step {
  return async ({ server }) => {
    await server.administer("ALTER USER ?@'127.0.0.1' IDENTIFIED BY ?", [server.user, atServer]);
  };
}

/** Ends one of the function's connections at the server's end. */
export const dropOneConnection: Step = async (scenario) => {
  const { server } = scenario;
  const [row] = await server.administer("SELECT id FROM information_schema.processlist WHERE user = ?", [server.user]);
  const before = await connections(scenario);
  await server.administer("KILL ?", [row?.["id"]]);
  await until("one connection was gone", async () => (await connections(scenario)) < before);
  scenario.abortedBefore = await server.abortedClients();
};

/** Ends the function's connections at the server's end, as a failover does. */
export const dropConnections: Step = async (scenario) => {
  if (scenario.fake !== undefined) {
    await scenario.fake.endIdle();
    return;
  }
  // More than once: a connection that is being opened becomes the function's while the server is at it.
  await until("no connection was left to drop", async () => {
    await endConnections(scenario.server);
    return (await connections(scenario)) === 0;
  });
  scenario.abortedBefore = await scenario.server.abortedClients();
};

export async function endConnections(server: ThrowawayServer): Promise<void> {
  const rows = await server.administer("SELECT id FROM information_schema.processlist WHERE user = ?", [server.user]);
  // One that has ended by itself in the meantime is an error, and as good.
  for (const row of rows) await server.administer("KILL ?", [row["id"]]).catch(() => undefined);
}

/** How many connections the server holds for the function. */
export async function connections({ server, fake }: Scenario): Promise<number> {
  return fake?.openSessions.length ?? count(server, "user = ?");
}

/** How many of the function's statements the server runs. */
export async function statements({ server, fake }: Scenario): Promise<number> {
  const running = fake?.openSessions.filter(({ running }) => running !== undefined);
  return running?.length ?? count(server, "user = ? AND command = 'Query'");
}

/** Connections that ended without COM_QUIT, and not because of the server. */
export async function abortedClients({ server, fake }: Scenario): Promise<number> {
  const aborted = fake?.sessions.filter(
    ({ loggedIn, isOpen, quit, endedBy }) => loggedIn && !isOpen && !quit && endedBy === "client",
  );
  return aborted?.length ?? server.abortedClients();
}

/** Whether somebody else can change the row that the function may have locked. */
export async function locksAreFree({ server, fake }: Scenario): Promise<boolean> {
  if (fake !== undefined) return !fake.openSessions.some(({ state }) => state.holdsLock);
  await server.administer("SET SESSION innodb_lock_wait_timeout = ?", [LOCK_WAIT_SECONDS]);
  return server.administer("UPDATE lab.account SET balance = balance + 1 WHERE id = 1").then(
    () => true,
    () => false,
  );
}

/** Changes the state of the fake server. */
export function server(change: (fake: FakeMysql) => unknown): Step {
  return async (scenario) => {
    await change(fakeOf(scenario));
  };
}

/** What the fake server does wrong from now on. */
export function script(of: (fake: FakeMysql) => Script): Step {
  return (scenario) => {
    const fake = fakeOf(scenario);
    fake.script = of(fake);
  };
}

function fakeOf({ fake }: Scenario): FakeMysql {
  if (fake === undefined) throw new Error("the fault has no fake server: set its `fake`");
  return fake;
}

/** Changes how Secrets Manager answers from now on. */
export function secretsManager(is: SecretsManagerBehaviour): Step {
  return ({ secrets }) => secrets.setBehaviour(is);
}

/** Text that Secrets Manager has under the secret's ARN, whatever it is. */
export function secretString(text: string): Step {
  return ({ secrets }) => {
    secrets.putString(text);
  };
}

/** Something must be so at this point. */
export function expectThat(what: string, holds: (scenario: Scenario) => Promise<boolean>): Step {
  return async (scenario) => {
    if (!(await holds(scenario))) scenario.problems.push(`this is not true: ${what}`);
  };
}

async function count(server: ThrowawayServer, condition: string): Promise<number> {
  const sql = `SELECT COUNT(*) AS number FROM information_schema.processlist WHERE ${condition}`;
  const [row] = await server.administer(sql, [server.user]);
  return Number(row?.["number"]);
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + GIVE_UP_AFTER_MS;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`waited ${GIVE_UP_AFTER_MS} ms, but this did not happen: ${what}`);
    await sleep(POLL_EVERY_MS);
  }
}
