import type { ShutdownContext } from "./hooks.ts";

/** Any object of a driver. Its members are read by name, so that this package depends on no driver. */
export type Client = Readonly<Record<string, unknown>>;

/** How one kind of pool, client or data source closes. */
export interface Driver {
  readonly name: string;
  readonly matches: (client: Client) => boolean;
  /** Calls the method that closes. Resolves when the client has closed. */
  readonly close: (client: Client, context: ShutdownContext) => unknown;
  /** Open connections. @default - as many as {@link connections} has */
  readonly count?: (client: Client) => number | undefined;
  /** The driver's own connections, busy ones as well. @default - the driver does not show them */
  readonly connections?: (client: Client) => readonly Client[];
  /**
   * Of one connection: says the protocol's goodbye past the driver. The server reads it when the statement has ended.
   * @default - the server finds a busy connection aborted
   */
  readonly giveUp?: (connection: Client) => unknown;
}

/** Members that hold the driver's own client. */
const HOLDERS = { $client: "drizzle", $pool: "pg-promise" };

const COM_QUIT = [1, 0, 0, 0, 1];
/** A packet of 5 bytes in a compressed one. */
const COMPRESSED_QUIT = [5, 0, 0, 0, 0, 0, 0, ...COM_QUIT];

const MYSQL: Pick<Driver, "close" | "count" | "connections" | "giveUp"> = {
  close: callBack("end"),
  count: (client) => lengthAt(client, "_allConnections") ?? 1,
  connections: (client) => ("_allConnections" in client ? list(client, "_allConnections") : [client]),
  giveUp: (connection) => {
    // mysql2 writes past its compression, but not past TLS, and mysql hands the bytes to either.
    if (has(connection, "writeUncompressed")) call(connection, "writeUncompressed", Buffer.from(COMPRESSED_QUIT));
    else if (has(connection, "write")) call(connection, "write", Buffer.from(COM_QUIT));
    else callAt(connection, "emit", ["_protocol"], "data", Buffer.from(COM_QUIT));
  },
};

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
      connections: (client) => connectionsOf(client[member]),
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
    close: async (client, context) => {
      // With pg, `destroy` aborts statements that are running.
      await until(() => !(Number(at(client, "driver", "connectedQueryRunners", "length")) > 0), context);
      if (client["isInitialized"] === true) await call(client, "destroy");
    },
    count: (client) => (client["isInitialized"] === true ? countOf(typeormPool(client)) : undefined),
    connections: (client) => connectionsOf(typeormPool(client)),
  },
  {
    name: "sequelize",
    matches: (client) => isClient(client["connectionManager"]) && has(client, "close"),
    close: (client) => call(client, "close"),
    count: (client) => numberAt(client, "connectionManager", "pool", "size"),
    connections: (client) => {
      const pool = at(client, "connectionManager", "pool");
      const pools = [pool, at(pool, "read"), at(pool, "write")]; // the last two with replication
      return pools.flatMap((each) => [...resources(each, "_inUseObjects"), ...resources(each, "_availableObjects")]);
    },
  },
  {
    name: "knex",
    matches: (client) => isClient(client["client"]) && has(client, "destroy") && has(client, "raw"),
    close: (client) => call(client, "destroy"),
    count: (client) =>
      sum(callAt(client, "numUsed", ["client", "pool"]), callAt(client, "numFree", ["client", "pool"])),
    connections: (client) => {
      const pool = at(client, "client", "pool");
      return [...resources(pool, "used"), ...resources(pool, "free")];
    },
  },
  {
    name: "ioredis",
    matches: (client) => typeof client["status"] === "string" && has(client, "quit") && has(client, "disconnect"),
    // `quit` waits for a connection that does not exist yet.
    close: (client) => call(client, client["status"] === "ready" ? "quit" : "disconnect"),
    count: (client) => (client["status"] === "ready" ? 1 : 0),
    giveUp: (client) => call(client, "disconnect"), // BLPOP holds `quit` back
  },
  {
    name: "redis",
    matches: (client) => typeof client["isOpen"] === "boolean" && has(client, "quit"),
    // `close` waits for replies since version 5, `quit` before.
    close: (client) => (client["isOpen"] === true ? call(client, has(client, "close") ? "close" : "quit") : undefined),
    count: (client) => (client["isOpen"] === true ? 1 : 0),
    giveUp: (client) => call(client, has(client, "destroy") ? "destroy" : "disconnect"),
  },
  {
    name: "mariadb", // a pool, with promises or without, or a connection
    matches: (client) => (has(client, "totalConnections") || has(client, "serverVersion")) && has(client, "end"),
    close: callBack("end"),
    count: (client) => (has(client, "totalConnections") ? callAt(client, "totalConnections") : 1),
  },
  {
    name: "mysql2", // a pool or a connection with promises
    matches: (client) =>
      lengthAt(client, "pool", "_allConnections") !== undefined ||
      (isClient(client["connection"]) && has(client["connection"], "promise")),
    close: (client) => call(client, "end"),
    count: (client) => lengthAt(client, "pool", "_allConnections") ?? 1,
    connections: (client) => connectionsOf(client["pool"] ?? client["connection"]),
  },
  {
    name: "mysql2", // without promises
    matches: (client) => has(client, "promise") && has(client, "end") && has(client, "query"),
    ...MYSQL,
  },
  {
    name: "mysql",
    matches: (client) => has(client, "end") && has(client, "query") && has(client, "escapeId"),
    ...MYSQL,
  },
  {
    name: "mysql cluster",
    matches: (client) => clusterNodes(client) !== undefined && has(client, "end") && has(client, "of"),
    close: callBack("end"),
    connections: (client) =>
      Object.values(clusterNodes(client) ?? {}).flatMap((node) => connectionsOf(at(node, "pool"))),
  },
  {
    name: "pg",
    matches: (client) => typeof client["totalCount"] === "number" && has(client, "end"),
    close: (client) => call(client, "end"),
    count: (client) => numberAt(client, "totalCount"),
    connections: (client) => list(client, "_clients"),
  },
  {
    name: "pg", // one client
    matches: (client) =>
      typeof client["readyForQuery"] === "boolean" ||
      (has(client, "end") && has(client, "escapeIdentifier") && isClient(client["connectionParameters"])),
    close: async (client, context) => {
      // `end` destroys a connection with a running statement.
      const isIdle = (): boolean =>
        client["readyForQuery"] !== false || client["_connected"] === false || client["_queryable"] === false;
      await until(isIdle, context);
      return call(client, "end");
    },
    count: () => 1,
    giveUp: (client) => callAt(client, "end", ["connection"]),
  },
  {
    name: "postgres", // without `timeout` it waits for running statements without a limit
    matches: (client) => typeof client === "function" && has(client, "end") && has(client, "unsafe"),
    close: (client, { remainingMs }) => call(client, "end", { timeout: remainingMs() / 1_000 }),
  },
];

function clusterNodes({ poolCluster: cluster, _nodes: nodes = at(cluster, "_nodes") }: Client): Client | undefined {
  return isClient(nodes) ? nodes : undefined;
}

function typeormPool(client: Client): unknown {
  return at(client, "driver", "pool") ?? at(client, "driver", "master");
}

function socketOf(connection: Client): Client | undefined {
  return [connection["stream"], connection["_socket"], at(connection, "connection", "stream")].find(isClient);
}

/** Whether one of {@link connectionsOf} is known to be open. */
export function isOpen(connection: Client): boolean {
  const socket = socketOf(connection);
  return socket === undefined ? connection["isOpen"] === true : socket["destroyed"] === false;
}

/** See {@link Driver.giveUp}. */
export function sayGoodbye(connection: Client): void {
  if (socketOf(connection)?.["destroyed"] !== true) driverOf(connection)?.giveUp?.(connection);
}

/** @returns each connection that the client shows */
export function connectionsOf(client: unknown): readonly Client[] {
  if (!isClient(client)) return [];
  const driver = driverOf(client);
  return driver?.connections?.(client) ?? (driver?.giveUp ? [client] : []);
}

/** Resolves when the condition holds or the time is over. */
export async function until(condition: () => boolean, { signal }: ShutdownContext): Promise<void> {
  while (!condition() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1));
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
const ENDED = ["closed", "ending", "_ending", "_closed", "_closing", "destroyed"] as const;

export function isEnded(client: Client): boolean {
  const owners = [client, client["pool"], client["connection"]]; // mysql2 with promises has one of the last
  return ENDED.some((name) => owners.some((owner) => at(owner, name) === true));
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

/** @returns undefined if the driver does not say */
export function countOf(client: unknown): number | undefined {
  if (!isClient(client)) return undefined;
  const driver = driverOf(client);
  return driver?.count ? driver.count(client) : driver?.connections?.(client).length;
}

function at(client: unknown, ...path: readonly string[]): unknown {
  return path.reduce((value, name) => (isClient(value) ? value[name] : undefined), client);
}

/** An array, or mysql2's queue. */
function list(owner: unknown, member: string): readonly Client[] {
  const value = at(owner, member);
  const items: unknown = isClient(value) && has(value, "toArray") ? call(value, "toArray") : value;
  return Array.isArray(items) ? items.filter(isClient) : [];
}

/** Pools of tarn and sequelize-pool wrap connections. */
function resources(pool: unknown, member: string): readonly Client[] {
  return list(pool, member)
    .map(({ resource }) => resource)
    .filter(isClient);
}

function numberAt(client: Client, ...path: readonly string[]): number | undefined {
  const value = at(client, ...path);
  return typeof value === "number" ? value : undefined;
}

function lengthAt(client: Client, ...path: readonly string[]): number | undefined {
  return numberAt(client, ...path, "length");
}

function callAt(
  client: Client,
  method: string,
  path: readonly string[] = [],
  ...args: readonly unknown[]
): number | undefined {
  const owner = at(client, ...path);
  const value = isClient(owner) && has(owner, method) ? call(owner, method, ...args) : undefined;
  return typeof value === "number" ? value : undefined;
}

function sum(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left + right;
}
