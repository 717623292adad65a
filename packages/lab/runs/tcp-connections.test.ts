/** A handler with a connection to PostgreSQL and one to Redis, through a life in the lab. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { startPostgresql, startRedis, type ThrowawayTcpServer } from "../mysql/throwaway-tcp-server";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { withExtension, type ExtensionKind } from "../functions/subject";
import { userVariables } from "../functions/user-function";
import { comparison } from "./comparison";
import { run, type RunResult } from "./run";
import { TcpRelays } from "./tcp-connections";

const HANDLER = `
import { once } from "node:events";
import { connect } from "node:net";
const [pg, redis] = [process.env.PG, process.env.REDIS].map((address) => {
  const [host, port] = address.split(":");
  return connect({ host, port: Number(port), noDelay: true });
});
const startup = Buffer.from("\\0\\0\\0\\x17\\0\\x03\\0\\0user\\0postgres\\0\\0", "latin1");
pg.write(startup);
redis.write("*1\\r\\n$4\\r\\nPING\\r\\n");
await Promise.all([once(pg, "data"), once(redis, "data")]);
if (process.env.ON_SIGTERM !== "nothing") {
  process.on("SIGTERM", () => {
    if (process.env.ON_SIGTERM === "goodbye") {
      pg.write(Buffer.from("X\\0\\0\\0\\x04", "latin1"));
      redis.write("*1\\r\\n$4\\r\\nQUIT\\r\\n");
    }
    Promise.all([pg, redis].map((socket) => once(socket.resume().end(), "close"))).then(() => {
      process.removeAllListeners("SIGTERM");
      process.kill(process.pid, "SIGTERM");
    });
  });
}
export const handler = async () => "answer";
`;

let database: DatabaseServer;
let servers: readonly ThrowawayTcpServer[];
const directory = mkdtempSync(join(tmpdir(), "tcp-"));

beforeAll(async () => {
  writeFileSync(join(directory, "index.mjs"), HANDLER);
  database = await startDatabaseServer();
  servers = await Promise.all([startPostgresql(), startRedis()]);
});

afterAll(async () => {
  await Promise.all([database, ...servers].map((server) => server.stop()));
  rmSync(directory, { recursive: true });
});

function live(onSigterm: string, extension: ExtensionKind): Promise<RunResult> {
  const environment = { ON_SIGTERM: onSigterm };
  const env = { PG: "{orders.host}:{orders.port}", REDIS: "{my-cache.host}:{my-cache.port}" };
  const subject = {
    name: "theirs",
    lambdaFunction: {
      name: "f",
      directory,
      handler: "index.handler",
      memorySizeMb: 128,
      timeoutMs: 3_000,
      environment,
    },
    extensions: [],
    variables: (
      ...[login, addresses]: readonly [Parameters<typeof userVariables>[0], Parameters<typeof userVariables>[2]?]
    ) => userVariables(login, env, addresses),
    tcp: ["orders", "my-cache"].map((name, index) => ({
      name,
      host: servers[index]?.host ?? "",
      port: servers[index]?.port ?? 0,
    })),
  };
  return run(withExtension(subject, extension), lambdaRuntime("nodejs24.x"), database, [{}], { how: "idle" });
}

test.each([
  ["goodbye", "external", ["closed", "Terminate, then FIN"], ["closed", "QUIT, then FIN"]],
  ["end", "external", ["aborted", "FIN without Terminate"], ["closed", "FIN"]],
  ["nothing", "external", ["aborted", "FIN without Terminate"], ["closed", "FIN"]],
  ["nothing", "none", ["leaked", "silence without Terminate"], ["leaked", "silence"]],
] as const)("on SIGTERM %s, extension %s: PostgreSQL %j, Redis %j", async (onSigterm, extension, pg, redis) => {
  const result = await live(onSigterm, extension);
  expect(result.invocations).toMatchObject([{ ok: true }]);
  expect(result.tcp).toEqual([
    { server: "orders", protocol: "PostgreSQL", outcome: pg[0], saw: pg[1] },
    { server: "my-cache", protocol: "Redis", outcome: redis[0], saw: redis[1] },
  ]);
  expect(result.outcomes).toEqual([pg[0], redis[0]]);
  const table = stripVTControlCharacters(comparison([result]));
  expect(table).toMatch(new RegExp(`At orders +│ PostgreSQL: ${pg[1]} `));
  expect(table).toMatch(new RegExp(`At my-cache +│ Redis: ${redis[1]} `));
  if (onSigterm === "goodbye") {
    expect(result.quitMs).toBeGreaterThan(0);
    const steps = result.timeline.map(({ what }) => what);
    expect(steps).toContain("connection 1 to orders");
    expect(steps).toContain("Terminate to orders (connection 1)");
    expect(steps).toContain("QUIT to my-cache (connection 1)");
  }
});

/** A server that agrees to TLS and never speaks it: the relay does not look into it either. */
test("how an encrypted connection to PostgreSQL was closed is hidden, and not taken for an aborted one", async () => {
  const server = createServer((socket) => socket.on("data", () => socket.write("S")).on("error", () => undefined));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const relays = await TcpRelays.start([{ name: "orders", host: "127.0.0.1", port }], () => undefined);
  try {
    const client = connect(relays.addresses["orders"]?.port ?? 0, "127.0.0.1");
    client.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
    await once(client, "data");
    client.end();
    await once(client.resume(), "close");
    const saw = "FIN; it is encrypted, so the lab cannot see how its protocol closed it";
    expect(relays.connections()).toMatchObject([
      { protocol: "PostgreSQL", outcome: "closed", unproven: "encryption", saw },
    ]);
  } finally {
    await relays.close();
    server.close();
  }
});

const AMQP_HEADER = Buffer.from("AMQP\0\0\x09\x01", "latin1");
/** A method frame of channel 0: class 10, method 50, with an empty reply. */
const AMQP_CLOSE = Buffer.from("\x01\0\0\0\0\0\x0b\0\x0a\0\x32\0\xc8\0\0\0\0\0\xce", "latin1");

test.each([
  ["AMQP with Connection.Close", [AMQP_HEADER, AMQP_CLOSE], { outcome: "closed", saw: "Connection.Close, then FIN" }],
  ["AMQP without it", [AMQP_HEADER], { outcome: "aborted", saw: "FIN without Connection.Close" }],
  [
    "a protocol that the lab does not know",
    [Buffer.from("hello")],
    { unproven: "protocol", saw: "FIN; the lab does not know this protocol" },
  ],
] as const)("FIN alone is no goodbye: %s", async (_, messages, seen) => {
  const server = createServer((socket) => socket.resume().on("error", () => undefined));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const relays = await TcpRelays.start([{ name: "queue", host: "127.0.0.1", port }], () => undefined);
  try {
    const client = connect(relays.addresses["queue"]?.port ?? 0, "127.0.0.1");
    client.end(Buffer.concat(messages));
    await once(client.resume(), "close");
    expect(relays.connections()).toMatchObject([seen]);
  } finally {
    await relays.close();
    server.close();
  }
});
