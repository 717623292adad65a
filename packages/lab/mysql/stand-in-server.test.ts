import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { ConnectionSampler } from "./connection-samples";
import { startDatabaseServer } from "./database-server";
import type { DatabaseServer } from "./server";

let standIn: DatabaseServer;
beforeEach(async () => {
  standIn = await startDatabaseServer({ kind: "stand-in" });
});
afterEach(() => standIn.stop());

async function connect(): Promise<mysql.Connection> {
  const { host, port, user, password, database } = standIn;
  return mysql.createConnection({ host, port, user, password, database });
}

async function untilGone(threadId: number): Promise<void> {
  for (let tries = 0; (await standIn.heldThreads([threadId])).size > 0; tries++) {
    if (tries > 1_000) throw new Error(`thread ${threadId} is still held`);
    await sleep(2);
  }
}

test("it says plainly what it is", () => {
  expect(standIn).toMatchObject({
    kind: "stand-in",
    description: "stand-in: mysql2's server half, not a MySQL server; counts clean closes only",
    pid: undefined,
  });
});

test("a sample of it has no Aborted_clients, because it does not count them", async () => {
  const sampler = await ConnectionSampler.start(standIn, () => ({ environments: 0, threads: new Map() }));
  expect(await sampler.stop()).toMatchObject({ connections: 0, aborted: null });
});

test("it answers the sample handler's statement under the names that the statement gives", async () => {
  const client = await connect();
  const before = Date.now();
  const [rows] = await client.query<RowDataPacket[]>("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime");
  expect(rows).toEqual([{ connectionId: client.threadId, serverTime: expect.any(Date) as Date }]);
  const serverTime = (rows[0]?.["serverTime"] as Date).getTime();
  expect(serverTime).toBeGreaterThanOrEqual(before);
  expect(serverTime).toBeLessThanOrEqual(Date.now());
  await client.end();
});

test.each([
  ["SELECT 1", { 1: 1 }],
  ["select 1 as `one`, 22 two ;", { one: 1, two: 22 }],
  ["SELECT\n  connection_id()", { "connection_id()": 1 }],
])("it answers %j", async (sql, row) => {
  const client = await connect();
  expect((await client.query<RowDataPacket[]>(sql))[0]).toEqual([row]);
  await client.end();
});

test("it answers pings, and one command after the other on one connection", async () => {
  const complaint = jest.spyOn(console, "error");
  const client = await connect();
  await client.ping();
  await client.query("SELECT 1");
  await client.ping();
  await client.end();
  // mysql2 says there that packets come out of order.
  expect(complaint).not.toHaveBeenCalled();
  complaint.mockRestore();
});

test.each(["SELECT * FROM orders", "SELECT 1, SLEEP(1)", "SET SESSION wait_timeout = 1", "START TRANSACTION"])(
  "it refuses %j, saying what it answers, and stays usable",
  async (sql) => {
    const client = await connect();
    await expect(client.query(sql)).rejects.toThrow(`the stand-in answers only SELECT of CONNECTION_ID()`);
    await client.query("SELECT 1");
    await client.end();
  },
);

test("it refuses prepared statements and commands that it does not know", async () => {
  const client = await connect();
  await expect(client.execute("SELECT 1")).rejects.toThrow("the stand-in answers only");
  await expect(client.reset()).rejects.toThrow("the stand-in answers only");
  await expect(client.changeUser({ user: "other" })).rejects.toThrow("the stand-in answers only");
  client.destroy();
});

test("COM_QUIT makes a close clean", async () => {
  const client = await connect();
  expect(await standIn.heldThreads([client.threadId, 4711])).toEqual(new Set([client.threadId]));
  await client.end();
  await untilGone(client.threadId);
  expect(await standIn.abortedClients()).toBe(0);
});

test("a close without COM_QUIT is aborted", async () => {
  const client = await connect();
  client.destroy();
  await untilGone(client.threadId);
  expect(await standIn.abortedClients()).toBe(1);
});

test("a client that never logged in is not an aborted client", async () => {
  const socket = net.connect({ host: standIn.host, port: standIn.port });
  await once(socket, "data");
  socket.destroy();
  await untilGone(1);
  expect(await standIn.abortedClients()).toBe(0);
});

test("stop() ends its connections and its listening", async () => {
  const client = await connect();
  const lost = once(client as unknown as NodeJS.EventEmitter, "error");
  await standIn.stop();
  await lost;
  await expect(connect()).rejects.toThrow("ECONNREFUSED");
});
