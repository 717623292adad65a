import type { ShutdownContext } from "./hooks.ts";

/** Any object of a driver. Its members are read by name, so that this package depends on no driver. */
export type Client = Readonly<Record<string, unknown>>;

/** How one kind of pool, client or data source closes. */
export interface Driver {
  readonly name: string;
  readonly matches: (client: Client) => boolean;
  /** Calls the method that closes. Resolves when the client has closed. */
  readonly close: (client: Client, context: ShutdownContext) => unknown;
  /** Open connections. @default - the driver does not say */
  readonly count?: (client: Client) => number | undefined;
  /** Closes what is still busy when half of the time is over, perhaps for ever. @default - the time is waited for */
  readonly force?: (client: Client) => unknown;
  /**
   * Says the protocol's goodbye on connections that are busy at the end. The server reads it when their statements have
   * ended. @default - the server finds them aborted
   */
  readonly giveUp?: (client: Client) => void;
}

/** Members that hold the driver's own client. */
const HOLDERS = { $client: "drizzle", $pool: "pg-promise" };

const NEVER = new Promise<never>(() => undefined);

/** From the most specific one: a client matches the first row that fits. */
const DRIVERS: readonly Driver[] = [
  ...Object.entries(HOLDERS).map(([member, name]): Driver => {
    const inside = ({ [member]: own }: Client): readonly [Client, Driver | undefined] =>
      isClient(own) ? [own, driverOf(own)] : [{}, undefined];
    return {
      name,
      matches: (client) => inside(client)[1] !== undefined,
      close: (client, context) => inside(client)[1]?.close(inside(client)[0], context),
      count: (client) => countOf(client[member]),
      force: (client) => inside(client)[1]?.force?.(inside(client)[0]) ?? NEVER,
      giveUp: (client) => inside(client)[1]?.giveUp?.(inside(client)[0]),
    };
  }),
  {
    name: "prisma",
    matches: (client) => has(client, "$disconnect"),
    close: (client) => call(client, "$disconnect"),
  },
  {
    name: "typeorm",
    matches: (client) => typeof client["isInitialized"] === "boolean" && has(client, "destroy"),
    close: (client) => (client["isInitialized"] === true ? call(client, "destroy") : undefined),
    count: (client) => {
      const driver = client["driver"];
      if (client["isInitialized"] !== true || !isClient(driver)) return undefined;
      return countOf(driver["pool"] ?? driver["master"]);
    },
  },
  {
    name: "sequelize",
    matches: (client) => isClient(client["connectionManager"]) && has(client, "close"),
    close: (client) => call(client, "close"),
    count: (client) => numberAt(client, "connectionManager", "pool", "size"),
  },
  {
    name: "knex",
    matches: (client) => isClient(client["client"]) && has(client, "destroy") && has(client, "raw"),
    close: (client) => call(client, "destroy"),
    count: (client) => sum(callAt(client, "numUsed", "client", "pool"), callAt(client, "numFree", "client", "pool")),
  },
  {
    name: "ioredis",
    matches: (client) => typeof client["status"] === "string" && has(client, "quit") && has(client, "disconnect"),
    // `quit` waits for a connection that does not exist yet.
    close: (client) => call(client, client["status"] === "ready" ? "quit" : "disconnect"),
    force: (client) => call(client, "disconnect"), // BLPOP holds `quit` back
    count: (client) => (client["status"] === "ready" ? 1 : 0),
  },
  {
    name: "redis",
    matches: (client) => typeof client["isOpen"] === "boolean" && has(client, "quit"),
    // `close` waits for replies since version 5, `quit` before.
    close: (client) => (client["isOpen"] === true ? call(client, has(client, "close") ? "close" : "quit") : undefined),
    force: (client) => call(client, has(client, "destroy") ? "destroy" : "disconnect"),
    count: (client) => (client["isOpen"] === true ? 1 : 0),
  },
  {
    name: "mariadb", // a pool, with promises or without, or a connection
    matches: (client) => (has(client, "totalConnections") || has(client, "serverVersion")) && has(client, "end"),
    close: callBack("end"),
    count: (client) => (has(client, "totalConnections") ? callAt(client, "totalConnections") : 1),
  },
  {
    name: "mysql2",
    matches: (client) => lengthAt(client, "pool", "_allConnections") !== undefined,
    close: (client) => call(client, "end"),
    count: (client) => lengthAt(client, "pool", "_allConnections"),
    giveUp: (client) => {
      quitMysql(client["pool"]);
    },
  },
  {
    name: "mysql2", // one connection
    matches: (client) => isClient(client["connection"]) && has(client["connection"], "promise"),
    close: (client) => call(client, "end"),
    count: () => 1,
    giveUp: (client) => {
      quitMysql(client["connection"]);
    },
  },
  {
    name: "mysql2", // without promises
    matches: (client) => has(client, "promise") && has(client, "end") && has(client, "query"),
    close: callBack("end"),
    count: (client) => lengthAt(client, "_allConnections") ?? 1,
    giveUp: quitMysql,
  },
  {
    name: "mysql",
    matches: (client) => has(client, "end") && has(client, "query") && has(client, "escapeId"),
    close: callBack("end"),
    count: (client) => lengthAt(client, "_allConnections") ?? 1,
  },
  {
    name: "pg",
    matches: (client) => typeof client["totalCount"] === "number" && has(client, "end"),
    close: (client) => call(client, "end"),
    count: (client) => numberAt(client, "totalCount"),
    // `end` waits for connections that were not released. A busy one would be destroyed.
    force: ({ _clients: clients }) =>
      Array.isArray(clients)
        ? Promise.all(clients.map((each: Client) => (each["readyForQuery"] === true ? call(each, "end") : NEVER)))
        : NEVER,
    giveUp: ({ _clients: clients }) => {
      // The connection's own `end` sends Terminate. That of the client destroys a busy connection.
      if (Array.isArray(clients)) for (const each of clients as Client[]) callAt(each, "end", "connection");
    },
  },
  {
    name: "pg", // one client
    matches: (client) =>
      has(client, "end") && has(client, "escapeIdentifier") && isClient(client["connectionParameters"]),
    close: (client) => call(client, "end"),
    count: () => 1,
  },
  {
    name: "postgres", // without `timeout` it waits for running statements without a limit
    matches: (client) => typeof client === "function" && has(client, "end") && has(client, "unsafe"),
    close: (client, { remainingMs }) => call(client, "end", { timeout: remainingMs() / 1_000 }),
  },
];

const COM_QUIT = [1, 0, 0, 0, 1];

/** @param client a pool or connection of mysql2 without promises */
function quitMysql(client: unknown): void {
  if (!isClient(client)) return;
  const { _allConnections: all } = client as { readonly _allConnections?: { toArray(): Client[] } };
  for (const each of all?.toArray() ?? [client]) call(each, "write", Buffer.from(COM_QUIT));
}

/** The methods of clients that no row describes, in the order in which they are tried. */
const METHODS = ["end", "close", "quit", "disconnect", "destroy"] as const;

export const CLOSING_METHODS: readonly string[] = ["$disconnect", ...METHODS];

/** Names of clients that one of {@link METHODS} closes, and the member that tells them from others. */
const NAMES = {
  selectFrom: "kysely",
  em: "mikro-orm",
  db: "mongodb",
  models: "mongoose",
  createConfirmChannel: "amqplib",
};

/** One of these is true when the function has closed the client itself. */
const ENDED = ["closed", "ending", "_ending", "_closed", "destroyed"] as const;

export function isEnded(client: Client): boolean {
  return ENDED.some((name) => client[name] === true);
}

/** The driver's own client, which a mapper may hold. */
export function innermost(client: Client): Client {
  const held = Object.keys(HOLDERS).map((member) => client[member]);
  return held.find(isClient) ?? client;
}

/** @returns undefined if nothing of the client closes it */
export function driverOf(client: Client): Driver | undefined {
  const known = DRIVERS.find(({ matches }) => matches(client));
  if (known !== undefined) return known;
  const method = METHODS.find((name) => has(client, name));
  if (method === undefined) return undefined;
  const name = Object.entries(NAMES).find(([member]) => member in client)?.[1] ?? method;
  return { name, matches: () => true, close: () => closeByMethod(client, method) };
}

export function isClient(value: unknown): value is Client {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

export function has(client: Client, method: string): boolean {
  return typeof client[method] === "function";
}

function call(client: Client, method: string, ...args: unknown[]): unknown {
  return (client[method] as (...args: unknown[]) => unknown).apply(client, args);
}

function callBack(method: string): Driver["close"] {
  return (client) =>
    new Promise<unknown>((resolve, reject) => {
      const result = call(client, method, (error: unknown) => {
        if (error instanceof Error) reject(error);
        else resolve(undefined);
      });
      if (isClient(result) && has(result, "then")) resolve(result); // some have both forms
    });
}

/** The method says by a promise, a callback or an event that it is done. */
function closeByMethod(client: Client, method: string): unknown {
  const { length, constructor } = client[method] as { readonly length: number; readonly constructor: { name: string } };
  const takesCallback = length > 0 && (method === "end" || method === "close") && constructor.name !== "AsyncFunction";
  return new Promise((resolve, reject) => {
    const done = (error?: unknown): void => {
      if (error instanceof Error) reject(error);
      else resolve(undefined);
    };
    if (has(client, "once")) ["close", "end"].forEach((event) => call(client, "once", event, done));
    const result = takesCallback ? call(client, method, done) : call(client, method);
    if (isClient(result) && has(result, "then")) resolve(result);
    else if (!takesCallback && !has(client, "once")) resolve(undefined);
  });
}

function countOf(pool: unknown): number | undefined {
  return isClient(pool) ? driverOf(pool)?.count?.(pool) : undefined;
}

function at(client: Client, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isClient(value) ? value[name] : undefined), client);
}

function numberAt(client: Client, ...path: readonly string[]): number | undefined {
  const value = at(client, path);
  return typeof value === "number" ? value : undefined;
}

function lengthAt(client: Client, ...path: readonly string[]): number | undefined {
  return numberAt(client, ...path, "length");
}

function callAt(client: Client, method: string, ...path: readonly string[]): number | undefined {
  const owner = at(client, path);
  const value = isClient(owner) && has(owner, method) ? call(owner, method) : undefined;
  return typeof value === "number" ? value : undefined;
}

function sum(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left + right;
}
