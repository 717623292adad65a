import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionEnvironment, InvocationResult } from "../lambda/execution-environment";
import type { ThrowawayServer } from "../mysql/throwaway-server";
import type { SecretsManagerMock } from "../lambda/secrets-manager-mock";

/** What a fault has to play with: one execution environment, and the server it talks to. */
export interface Scenario {
  readonly environment: ExecutionEnvironment;
  readonly server: ThrowawayServer;
  readonly secrets: SecretsManagerMock;
  /** What makes this handler run a statement: one that is done at once, and one that takes 30 seconds. */
  readonly events: { readonly quick: unknown; readonly slow: unknown };
  /** Also those that have not ended. */
  readonly invocations: Promise<InvocationResult>[];
  /** Resolves when an Init that nobody waits for has ended, one way or the other. */
  pendingInit: Promise<void>;
  serverIs: "well" | "frozen" | "gone";
  /** `Aborted_clients` before the function could do anything about it. */
  abortedBefore: number;
}

/** One thing that happens. Each fault is a list of them. */
export type Step = (scenario: Scenario) => Promise<void> | void;

const POLL_EVERY_MS = 20;
const GIVE_UP_AFTER_MS = 10_000;

export const init: Step = async ({ environment }) => environment.init();

/** Takes Init to the middle of the handler's module. */
export const beginInit: Step = async (scenario) => {
  scenario.pendingInit = scenario.environment.init().catch(() => undefined);
  await until("the runtime started", () =>
    scenario.environment.timeline.some(({ what }) => what.startsWith("runtime started")),
  );
  await sleep(300);
};

/** Invokes and waits for the end, good or bad. */
export function invoke(event: "quick" | "slow" | object): Step {
  return async ({ environment, events, invocations }) => {
    const invocation = environment.invoke(typeof event === "string" ? events[event] : event);
    invocations.push(invocation);
    await invocation;
  };
}

/** Invokes and goes on. */
export function begin(event: "quick" | "slow" | object): Step {
  return ({ environment, events, invocations }) => {
    invocations.push(environment.invoke(typeof event === "string" ? events[event] : event));
  };
}

export function wait(ms: number): Step {
  return async () => {
    await sleep(ms);
  };
}

export const freeze: Step = ({ environment }) => {
  environment.freeze();
};

export const thaw: Step = ({ environment }) => {
  environment.thaw();
};

/** The first of two: the second is the one of the Shutdown phase. */
export const sigterm: Step = ({ environment }) => {
  environment.signal("SIGTERM");
};

/** The function's statement has reached the server and is running there. */
export const statementRuns: Step = async ({ server }) => {
  await until("a statement ran", async () => (await statements(server)) > 0);
};

/** The server has let go of every connection of the function's by itself, which counts as aborted, but by nobody's fault. */
export const connectionsGone: Step = async (scenario) => {
  await until("the server had let go", async () => (await connections(scenario.server)) === 0);
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

/** The server gives up on a connection that has been silent for this long; for connections that begin after this step. */
export function waitTimeout(seconds: number): Step {
  return async ({ server }) => {
    await server.administer("SET GLOBAL wait_timeout = ?", [seconds]);
  };
}

/** The server's password, and what Secrets Manager says it is. They differ while a rotation is under way. */
export function passwords(atServer: string, inSecret: string): Step {
  return async ({ server, secrets }) => {
    secrets.put({ username: server.user, password: inSecret });
    await server.administer("ALTER USER ?@'127.0.0.1' IDENTIFIED BY ?", [server.user, atServer]);
  };
}

/** Ends the function's connections at the server's end, as a failover does. */
export const dropConnections: Step = async (scenario) => {
  // More than once: a connection that is being opened becomes the function's while the server is at it.
  await until("no connection was left to drop", async () => {
    await endConnections(scenario.server);
    return (await connections(scenario.server)) === 0;
  });
  scenario.abortedBefore = await scenario.server.abortedClients();
};

export async function endConnections(server: ThrowawayServer): Promise<void> {
  const rows = await server.administer("SELECT id FROM information_schema.processlist WHERE user = ?", [server.user]);
  // One that has ended by itself in the meantime is an error, and as good.
  for (const row of rows) await server.administer("KILL ?", [row["id"]]).catch(() => undefined);
}

/** How many connections the server holds for the function. */
export async function connections(server: ThrowawayServer): Promise<number> {
  return count(server, "user = ?");
}

/** How many statements of the function's the server is carrying out. */
export async function statements(server: ThrowawayServer): Promise<number> {
  return count(server, "user = ? AND command = 'Query'");
}

async function count(server: ThrowawayServer, condition: string): Promise<number> {
  const sql = `SELECT COUNT(*) AS number FROM information_schema.processlist WHERE ${condition}`;
  const [row] = await server.administer(sql, [server.user]);
  return Number(row?.["number"]);
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + GIVE_UP_AFTER_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${GIVE_UP_AFTER_MS} ms in vain until ${what}`);
    await sleep(POLL_EVERY_MS);
  }
}
