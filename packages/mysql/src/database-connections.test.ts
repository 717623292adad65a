/** The way to a connection has one time limit, says what it waited for, and asks no server more often than it must. */
import mysql from "mysql2";
import dns from "node:dns";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { DatabaseUnreachableError, StatementTimeoutError, type Database } from "./database.ts";
import { DatabaseStandIn, shutdownIn } from "./database-stand-in.ts";

let standIn: DatabaseStandIn;
const databases: Database[] = [];

beforeEach(async () => {
  standIn = await DatabaseStandIn.start();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(databases.splice(0).map((database) => database.close(shutdownIn(300))));
  await standIn.close();
});

function open(...config: Parameters<DatabaseStandIn["database"]>): Database {
  const database = standIn.database(...config);
  databases.push(database);
  return database;
}

async function failing(promise: Promise<unknown>): Promise<{ readonly error: Error; readonly ms: number }> {
  const begun = Date.now();
  const error = await promise.then(
    () => new Error("it resolved"),
    (reason: unknown) => reason as Error,
  );
  return { error, ms: Date.now() - begun };
}

/** From now on the connections were idle for so long. */
function laterBy(ms: number): void {
  const later = Date.now() + ms;
  jest.spyOn(Date, "now").mockReturnValue(later);
}

test("a statement inside a transaction that needs a second connection is refused at once, and the error says what to do", async () => {
  const nested = open();
  const { error, ms } = await failing(nested.transaction(() => nested.query("SELECT 1")));
  expect(error).toBeInstanceOf(DatabaseUnreachableError);
  expect(error.message).toContain("use the query that transaction() passes to your code, or raise connectionLimit");
  expect(ms).toBeLessThan(900);
  expect(standIn.statements).toContain("ROLLBACK");
});

test("a connection makes no room for prepared statements, of which the function has none", async () => {
  const create = jest.spyOn(mysql, "createConnection");
  await open().query("SELECT 1");
  expect(create.mock.calls).toMatchObject([[{ maxPreparedStatements: 1 }]]);
});

test.each([NaN, 0, -1, 1.5, Infinity])(
  "connectionLimit %d is refused: it would be no limit, or no connection",
  (limit) => {
    expect(() => standIn.database({ connectionLimit: limit })).toThrow(
      `connectionLimit ${limit} is not a whole number`,
    );
  },
);

test.each([NaN, 0, -1, Infinity])("acquireTimeoutMs %d is refused", (ms) => {
  expect(() => standIn.database({ acquireTimeoutMs: ms })).toThrow(`acquireTimeoutMs ${ms} is not a number of`);
});

test("two transactions that wait for each other's connection: one is refused, the other goes on", async () => {
  const pair = open({ connectionLimit: 2 });
  const results = await Promise.allSettled(
    [1, 2].map(() =>
      pair.transaction(async (query) => {
        await query("SELECT 1");
        await pair.query("SELECT 2");
      }),
    ),
  );
  expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("a statement waits for a connection that is busy, up to the limit, and says so", async () => {
  const busy = open({ acquireTimeoutMs: 200 });
  await busy.open();
  const running = failing(busy.query("SELECT SLEEP(9)"));
  const { error, ms } = await failing(busy.query("SELECT 1"));
  expect(error.message).toContain("no free connection (connectionLimit 1, all in use) within 200 ms");
  expect(ms).toBeLessThan(1_000);
  await busy.close(shutdownIn(400));
  await running;
});

test("statements side by side at a server that does not greet fail together, and say what was waited for", async () => {
  const silent = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const database = open({ connectionLimit: 2 }, { port, connectTimeoutMs: 300 });
  const failures = await Promise.all(Array.from({ length: 6 }, () => failing(database.query("SELECT 1"))));
  for (const { error, ms } of failures) {
    expect(error.message).toContain("no greeting of the server within 300 ms");
    expect(ms).toBeLessThan(1_500);
  }
  silent.close();
});

test.each([
  ["refuses", { login: () => 1045 }],
  ["ends", { statement: () => "hang up" as const }],
])("a server that %s each log-in is logged in to twice at the most", async (_, script) => {
  standIn.script = script;
  expect((await failing(open().query("SELECT 1"))).error).toBeInstanceOf(DatabaseUnreachableError);
  expect(standIn.sessions.length).toBeLessThanOrEqual(2);
});

test.each([1040, 1203, 1226, 1053])("a server with too many connections (%i) is asked again", async (code) => {
  standIn.script.login = ({ number }) => (number < 4 ? code : undefined);
  await open().query("SELECT 1");
  expect(standIn.sessions).toHaveLength(4);
});

test("a server that keeps its too many connections is asked more and more rarely", async () => {
  standIn.script.login = () => 1040;
  const { error, ms } = await failing(open().query("SELECT 1"));
  expect(error.message).toContain("refused by the stand-in");
  expect(ms).toBeLessThan(1_500);
  expect(standIn.sessions.length).toBeLessThan(7);
});

test("after a failover the host is looked up anew, since its name may lead to another server by then", async () => {
  const lookup = jest.spyOn(dns, "lookup").mockImplementation(((
    _host,
    _options,
    found: (...answer: unknown[]) => void,
  ) => {
    process.nextTick(found, null, [{ address: "127.0.0.1", family: 4 }]);
  }) as typeof dns.lookup);
  const database = open({}, { host: "db.example" });
  await database.query("SELECT 1");
  await database.query("SELECT 1");
  expect(lookup).toHaveBeenCalledTimes(1);
  standIn.script.statement = (sql, { number }) => (sql === "INSERT 1" && number === 1 ? { error: 1290 } : undefined);
  await database.query("INSERT 1");
  expect(lookup.mock.calls.map(([host]) => host)).toEqual(["db.example", "db.example"]);
});

test("a connection that was idle is asked although the clock was set back meanwhile", async () => {
  const database = open();
  await database.query("SELECT 1");
  laterBy(-60_000);
  await database.query("SELECT 1");
  expect(standIn.statements).toEqual(["SELECT 1", "COM_PING", "SELECT 1"]);
});

test("the dead connections of one freeze are found out together", async () => {
  const pool = open({ connectionLimit: 5 });
  await Promise.all(Array.from({ length: 5 }, () => pool.query("SELECT 1")));
  expect(standIn.open).toHaveLength(5);
  standIn.script.statement = (_, { number }) => (number <= 5 ? "silent" : undefined);
  laterBy(20_000);
  const begun = process.uptime();
  await pool.query("SELECT 1");
  expect(process.uptime() - begun).toBeLessThan(1.5);
  expect(standIn.sessions.slice(0, 5).flatMap(({ statements }) => statements.at(-1))).toEqual(
    Array(5).fill("COM_PING"),
  );
});

test("one that answers is used at once, and no further one is opened", async () => {
  const pool = open({ connectionLimit: 3 });
  await Promise.all([pool.query("SELECT 1"), pool.query("SELECT 1")]);
  standIn.script.statement = (sql, { number }) => (number === 2 && sql === "COM_PING" ? "silent" : undefined);
  laterBy(20_000);
  const begun = process.uptime();
  await pool.query("SELECT 1");
  expect(process.uptime() - begun).toBeLessThan(0.4);
  expect(standIn.sessions).toHaveLength(2);
});

test("there are never more connections than the limit, also while old ones end", async () => {
  jest.spyOn(console, "warn").mockImplementation(() => undefined);
  let most = 0;
  standIn.script.login = () => void (most = Math.max(most, standIn.open.length));
  const pool = open({ connectionLimit: 3 });
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(
      Array.from({ length: 9 }, (_, at) => pool.query(at % 3 === 0 ? "SET autocommit = 0" : "SELECT 1")),
    );
  }
  expect(most).toBeLessThanOrEqual(3);
});

describe("a statement's own time limit", () => {
  test("cancels it on the server", async () => {
    const { error } = await failing(open().query("SELECT SLEEP(9)", [], { timeoutMs: 100 }));
    expect(error).toBeInstanceOf(StatementTimeoutError);
    expect(error.message).toContain("100 ms: cancelled on the server");
    expect(standIn.kills).toEqual([101]);
  });

  test("cuts the connection off if it cannot be cancelled, and says so", async () => {
    standIn.script.server = ({ number }) => `uuid-${number}`;
    const { error } = await failing(open().query("SELECT SLEEP(9)", [], { timeoutMs: 100 }));
    expect(error).toBeInstanceOf(StatementTimeoutError);
    expect(error.message).toContain("it may still run");
    expect(standIn.kills).toEqual([]);
  });

  test("must be one", async () => {
    expect((await failing(open().query("SELECT 1", [], { timeoutMs: -1 }))).error).toBeInstanceOf(TypeError);
  });
});
