/** At SIGTERM: what is idle ends at once, and what is cancelled is proven to be one's own. */
import { refuse, type FakeMysqlConfig } from "lambda-fake-mysql";
import type { Database } from "./database.ts";
import { FakeDatabase, shutdownIn } from "./fake-database.ts";

let fake: FakeDatabase;
let database: Database;

beforeEach(async () => {
  fake = await FakeDatabase.start();
  database = fake.database();
});

afterEach(() => fake.close());

/** Begins a statement that runs until it is cancelled. */
async function runs(): Promise<void> {
  void database.query("SELECT SLEEP(9)").catch(() => undefined);
  while (!fake.statements.includes("SELECT SLEEP(9)")) await new Promise(setImmediate);
}

test("COM_QUIT on an idle connection is written before close() returns", async () => {
  await database.query("SELECT 1");
  const closing = database.close(shutdownIn(1_000));
  const end = Date.now() + 150;
  while (Date.now() < end); // a handler that computes
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(await closing).toEqual({ closed: 1, cancelled: 0, givenUp: 0 });
  expect(fake.sessions[0]?.quit).toBe(true);
});

test("a connection that the server had ended, unread, is not counted and gets nothing", async () => {
  await database.query("SELECT 1");
  await fake.close();
  const result = await database.close(shutdownIn(500));
  expect(result.closed + result.givenUp).toBe(0);
  fake = await FakeDatabase.start();
});

test("a statement is cancelled if server and thread are proven", async () => {
  await runs();
  expect(await database.close(shutdownIn(400))).toEqual({ closed: 0, cancelled: 1, givenUp: 0 });
  expect(fake.kills).toEqual([fake.sessions[0]?.connectionId]);
});

test("statements that run side by side are cancelled at once, over one second connection", async () => {
  database = fake.database({ connectionLimit: 3 });
  const three = [1, 2, 3].map(() => database.query("SELECT SLEEP(9)").catch(() => undefined));
  while (fake.statements.length < three.length) await new Promise(setImmediate);
  const begun = Date.now();
  expect(await database.close(shutdownIn(3_000))).toEqual({ closed: 0, cancelled: 3, givenUp: 0 });
  expect(Date.now() - begun).toBeLessThan(2_000); // at once, and not when 200 ms are left
  expect(fake.kills).toEqual(fake.sessions.slice(0, 3).map(({ connectionId }) => connectionId));
  expect(fake.sessions).toHaveLength(4);
});

const WHO = /hostname|processlist/i;
test.each<[string, FakeMysqlConfig]>([
  ["another server behind the same address", { script: { variables: ({ number }) => ({ server_uuid: number }) } }],
  [
    "another MariaDB server with the same host name, port and number",
    { version: "11.4.2-MariaDB", script: { variables: ({ number }) => ({ datadir: `/var/lib/mysql-${number}/` }) } },
  ],
  ["a proxy with numbers of its own", { threadIdInGreeting: (connectionId) => connectionId + 1_000 }],
  [
    "a server that does not say who it is",
    { script: { statement: (sql) => (WHO.test(sql) ? refuse(1193) : undefined) } },
  ],
])("%s: nothing is cancelled, and the result says so", async (_, config) => {
  await fake.close();
  fake = await FakeDatabase.start(config);
  database = fake.database();
  await runs();
  const result = await database.close(shutdownIn(400));
  expect(result).toMatchObject({ closed: 0, cancelled: 0, givenUp: 1 });
  expect(result.cancelRefused).toEqual(expect.any(String));
  expect(fake.kills).toEqual([]);
});

test.each([
  [1040, "Too many connections"],
  [1045, "Access denied for user"],
  [1226, "User has exceeded the 'max_user_connections' resource (current value: 3)"],
])("a refused log-in (%i) of the second connection: close() settles in time", async (code, cancelRefused) => {
  await runs();
  fake.script.login = () => refuse(code);
  const begun = Date.now();
  const result = await database.close(shutdownIn(400));
  expect(result).toMatchObject({ closed: 0, cancelled: 0, givenUp: 1, cancelRefused });
  expect(Date.now() - begun).toBeLessThan(900);
});

test("if the server refuses the second connection, no error is unhandled", async () => {
  await runs();
  fake.server.refuseConnections();
  const result = await database.close(shutdownIn(400));
  expect(result).toMatchObject({ givenUp: 1, cancelRefused: expect.stringContaining("ECONNREFUSED") as string });
});

test("no secret is read at SIGTERM: the log-in that worked is used again", async () => {
  const getSecretValue = jest.fn(() => Promise.resolve({ SecretString: '{"username":"app","password":"secret"}' }));
  const login = { type: "secret", secretArn: "arn:aws:secretsmanager:eu-west-1:1:secret:x", user: undefined } as const;
  database = fake.database({}, { login, secretsManager: { getSecretValue } });
  await runs();
  expect(await database.close(shutdownIn(400))).toEqual({ closed: 0, cancelled: 1, givenUp: 0 });
  expect(getSecretValue).toHaveBeenCalledTimes(1);
});
