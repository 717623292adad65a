/** At SIGTERM: what is idle ends at once, and what is cancelled is proven to be one's own. */
import type { Database } from "./database.ts";
import { DatabaseStandIn, shutdownIn } from "./database-stand-in.ts";

let standIn: DatabaseStandIn;
let database: Database;

beforeEach(async () => {
  standIn = await DatabaseStandIn.start();
  database = standIn.database();
});

afterEach(() => standIn.close());

/** Begins a statement that runs until it is cancelled. */
async function runs(): Promise<void> {
  void database.query("SELECT SLEEP(9)").catch(() => undefined);
  while (!standIn.statements.includes("SELECT SLEEP(9)")) await new Promise(setImmediate);
}

test("COM_QUIT on an idle connection is written before close() returns", async () => {
  await database.query("SELECT 1");
  const closing = database.close(shutdownIn(1_000));
  const end = Date.now() + 150;
  while (Date.now() < end); // a handler that computes
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(await closing).toEqual({ closed: 1, cancelled: 0, givenUp: 0 });
  expect(standIn.sessions[0]?.quit).toBe(true);
});

test("a connection that the server had ended, unread, is not counted and gets nothing", async () => {
  await database.query("SELECT 1");
  await standIn.close();
  const result = await database.close(shutdownIn(500));
  expect(result.closed + result.givenUp).toBe(0);
  standIn = await DatabaseStandIn.start();
});

test("a statement is cancelled if server and thread are proven", async () => {
  await runs();
  expect(await database.close(shutdownIn(400))).toEqual({ closed: 0, cancelled: 1, givenUp: 0 });
  expect(standIn.kills).toEqual([101]);
});

test("statements that run side by side are cancelled over one second connection", async () => {
  database = standIn.database({ connectionLimit: 3 });
  const three = [1, 2, 3].map(() => database.query("SELECT SLEEP(9)").catch(() => undefined));
  while (standIn.statements.length < three.length) await new Promise(setImmediate);
  expect(await database.close(shutdownIn(400))).toEqual({ closed: 0, cancelled: 3, givenUp: 0 });
  expect(standIn.kills).toEqual([101, 102, 103]);
  expect(standIn.sessions).toHaveLength(4);
});

test.each([
  ["another server behind the same address", { server: ({ number }: { number: number }) => `uuid-${number}` }],
  [
    "another MariaDB server with the same host name, port and number",
    { version: "11.4.2-MariaDB", server: ({ number }: { number: number }) => `/var/lib/mysql-${number}/` },
  ],
  ["a proxy with numbers of its own", { connectionId: ({ threadId }: { threadId: number }) => threadId + 1_000 }],
  [
    "a server that does not say who it is",
    { statement: (sql: string) => (sql.includes("@@hostname") ? { error: 1193 } : undefined) },
  ],
])("%s: nothing is cancelled, and the result says so", async (_, script) => {
  Object.assign(standIn.script, script);
  await runs();
  const result = await database.close(shutdownIn(400));
  expect(result).toMatchObject({ closed: 0, cancelled: 0, givenUp: 1 });
  expect(result.cancelRefused).toEqual(expect.any(String));
  expect(standIn.kills).toEqual([]);
});

test.each([1040, 1045, 1226])(
  "a refused log-in (%i) of the second connection: close() settles in time",
  async (code) => {
    await runs();
    standIn.script.login = () => code;
    const begun = Date.now();
    const result = await database.close(shutdownIn(400));
    expect(result).toMatchObject({ closed: 0, cancelled: 0, givenUp: 1, cancelRefused: "refused by the stand-in" });
    expect(Date.now() - begun).toBeLessThan(900);
  },
);

test("if the server refuses the second connection, no error is unhandled", async () => {
  await runs();
  const refused = standIn.refuseConnections();
  const result = await database.close(shutdownIn(400));
  expect(result).toMatchObject({ givenUp: 1, cancelRefused: expect.stringContaining("ECONNREFUSED") as string });
  await refused;
});

test("no secret is read at SIGTERM: the log-in that worked is used again", async () => {
  const getSecretValue = jest.fn(() => Promise.resolve({ SecretString: '{"username":"app","password":"secret"}' }));
  const login = { type: "secret", secretArn: "arn:aws:secretsmanager:eu-west-1:1:secret:x", user: undefined } as const;
  database = standIn.database({}, { login, secretsManager: { getSecretValue } });
  await runs();
  expect(await database.close(shutdownIn(400))).toEqual({ closed: 0, cancelled: 1, givenUp: 0 });
  expect(getSecretValue).toHaveBeenCalledTimes(1);
});
