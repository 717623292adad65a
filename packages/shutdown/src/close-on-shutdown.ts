import {
  CLOSING_METHODS,
  connectionsOf,
  countOf,
  driverOf,
  has,
  innermost,
  isClient,
  isEnded,
  isOpen,
  sayGoodbye,
  until,
  type Client,
  type Driver,
} from "./drivers.ts";
import type { HookOptions, ShutdownContext, ShutdownHook } from "./hooks.ts";
import type { Server } from "node:http";
import { HttpServers, isHttpServer } from "./http-server.ts";
import { addHook } from "./shutdown.ts";
import { GIVE_UP_MS } from "./shutdown-time.ts";
import { typeName, UsageError } from "./usage-error.ts";

type Method = (...args: never[]) => unknown;

/** A pool, client, data source or server: it has at least one of these. */
export type Closable =
  | { readonly end: Method }
  | { readonly close: Method }
  | { readonly destroy: Method }
  | { readonly disconnect: Method }
  | { readonly $disconnect: Method }
  | { readonly quit: Method }
  | { readonly $client: object }
  | { readonly $pool: object };

export interface CloseOptions extends HookOptions {
  /**
   * Name of the hook in the line at the end.
   * @default - the driver's name, such as "mysql2", or "server"
   */
  readonly name?: string;
}

const POOLS = "each pool of closeOnShutdown";

/** A pool that is passed twice is closed once. */
const registered = new WeakSet<object>();

/**
 * Closes a pool, client, data source or HTTP server on SIGTERM, in the way that its driver needs, and waits until it has
 * closed or the time is over. Servers close first: they stop accepting, and requests in flight end before a pool closes.
 * The line at the end counts connections (`closed`, `givenUp`) if the driver says how many there are, and requests
 * (`answered`, `cut`).
 *
 * @returns the pool itself
 * @throws UsageError if the value has no method that closes it
 * @example
 * const pool = closeOnShutdown(mysql.createPool(uri));
 */
export function closeOnShutdown<T extends Closable>(pool: T, { name, before = [] }: CloseOptions = {}): T {
  const client: unknown = pool;
  if (!isClient(client)) throw notClosable(client);
  const server = serverOf(client);
  if (server !== undefined) {
    addHook("closeOnShutdown", name ?? "server", serverHook(client, server), before, {
      beforeGroup: POOLS,
      holdsToTheEnd: true, // requests in flight need their connections
    });
    return pool;
  }
  const driver = has(client, "then") ? undefined : driverOf(client);
  if (driver === undefined) throw notClosable(client);
  const own = innermost(client);
  if (registered.has(own)) return pool;
  registered.add(own);
  addHook("closeOnShutdown", name ?? driver.name, poolHook(client, driver), before, { group: POOLS });
  return pool;
}

/** An `http.Server`, or that of Fastify or Nest. */
function serverOf(client: Client): Server | undefined {
  const own = has(client, "getHttpServer") ? (client["getHttpServer"] as () => unknown).call(client) : client["server"];
  return [client, own].find(isHttpServer);
}

function serverHook(app: Client, server: Server): ShutdownHook {
  const servers = new HttpServers((other) => other === server);
  return async (context) => {
    servers.hold(server);
    const result = await servers.close(() => context.signal.aborted, aborted(context.signal));
    if (app !== (server as unknown)) await Promise.race([closed(app, context), aborted(context.signal)]);
    return result;
  };
}

/** The framework's own clean-up. Its server is closed already. */
async function closed(app: Client, context: ShutdownContext): Promise<void> {
  try {
    await driverOf(app)?.close(app, context);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SERVER_NOT_RUNNING") throw error;
  }
}

function poolHook(client: Client, driver: Driver): ShutdownHook {
  return async (context) => {
    if (isEnded(client)) return { closed: 0, givenUp: 0 };
    const open = countOf(client);
    const connections = new Set(connectionsOf(client)); // some drivers forget them when they close
    const giveUp = giveUpLate(client, connections, context);
    const close = Promise.resolve(driver.close(client, context)).catch((error: unknown) => {
      if (context.remainingMs() > GIVE_UP_MS) throw error;
      return giveUp; // which makes ioredis' `quit` fail
    });
    const result = await Promise.race([close, giveUp, aborted(context.signal)]);
    // mysql2's promise of `end` resolves with the error.
    if (result instanceof Error) throw result;
    if (open === undefined) return result === ABORTED ? new Promise(() => undefined) : {}; // the line says "gave up"
    const busy = connections.size > 0 ? [...connections].filter(isOpen).length : (countOf(client) ?? open);
    const givenUp = result === ABORTED ? busy : 0;
    return { closed: Math.max(0, open - givenUp), givenUp };
  };
}

/** Resolves if the connections have closed all the same: they were idle, or waited for somebody else. */
async function giveUpLate(client: Client, connections: Set<Client>, context: ShutdownContext): Promise<unknown> {
  const over = aborted(context.signal);
  await Promise.race([over, new Promise((resolve) => setTimeout(resolve, context.remainingMs() - GIVE_UP_MS))]);
  for (const connection of connectionsOf(client)) connections.add(connection);
  for (const connection of connections) sayGoodbye(connection);
  await until(() => connections.size > 0 && ![...connections].some(isOpen), context);
  return context.signal.aborted ? over : undefined;
}

const ABORTED = Symbol("the time is over");

function aborted(signal: AbortSignal): Promise<typeof ABORTED> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      resolve(ABORTED);
    });
  });
}

function notClosable(value: unknown): UsageError {
  const what =
    isClient(value) && has(value, "then")
      ? "a promise: await it first"
      : isClient(value) && has(value, "listen")
        ? "an application: pass the server that its listen() returns"
        : `${typeName(value)}, which has none of the methods ${CLOSING_METHODS.join(", ")}: pass the pool, client, data source or server itself`;
  return new UsageError("ERR_LGS_NOT_CLOSABLE", `closeOnShutdown: the value is ${what}`);
}
