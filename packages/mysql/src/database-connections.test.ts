/** The way to a connection has one time limit, says what it waited for, and asks no server more often than it must. */
import mysql from "mysql2";
import dns from "node:dns";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { DatabaseUnreachableError, StatementTimeoutError, type Database, type DatabaseOptions } from "./database.ts";
import { hangUp, refuse, silent, wait, type Reaction } from "lambda-fake-mysql";
import { FakeDatabase, reasonOf, shutdownIn } from "./fake-database.ts";

let fake: FakeDatabase;
const databases: Database[] = [];

beforeEach(async () => {
  fake = await FakeDatabase.start();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(databases.splice(0).map((database) => database.close(shutdownIn(300))));
  await fake.close();
});

function open(...config: Parameters<FakeDatabase["database"]>): Database {
  const database = fake.database(...config);
  databases.push(database);
  return database;
}

async function failing(promise: Promise<unknown>): Promise<{ readonly error: Error; readonly ms: number }> {
  const begun = Date.now();
  return { error: await reasonOf(promise), ms: Date.now() - begun };
}

const times = <T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));

const slow = (sql: string): Reaction | undefined => (sql === "SLOW" ? wait(100) : undefined);

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
  expect(fake.statements).toContain("ROLLBACK");
});

test("a connection makes no room for prepared statements, of which the function has none", async () => {
  const create = jest.spyOn(mysql, "createConnection");
  await open().query("SELECT 1");
  expect(create.mock.calls).toMatchObject([[{ maxPreparedStatements: 1 }]]);
});

test.each([
  ["connectionLimit", "a whole number", [NaN, 0, -1, 1.5, Infinity]],
  ["acquireTimeoutMs", "a number of", [NaN, 0, -1, Infinity]],
])("%s must be %s", (option, what, values) => {
  for (const value of values)
    expect(() => fake.database({ [option]: value })).toThrow(`${option} ${value} is not ${what}`);
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
  const why = "no free connection (connectionLimit 1, all in use) within 200 ms (acquireTimeoutMs)";
  expect(error.message).toContain(why);
  expect(ms).toBeLessThan(1_000);
  await busy.close(shutdownIn(400));
  await running;
});

test("statements side by side at a server that does not greet fail together, and say what was waited for", async () => {
  const silent = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const database = open({ connectionLimit: 2 }, { port, connectTimeoutMs: 300 });
  const failures = await times(6, () => failing(database.query("SELECT 1")));
  for (const { error, ms } of failures) {
    expect(error.message).toContain("no greeting of the server within 300 ms");
    expect(ms).toBeLessThan(1_500);
  }
  silent.close();
});

test.each([
  ["refuses", { login: () => refuse(1045) }, 1],
  ["ends", { statement: () => hangUp }, 2],
])("a server that %s each log-in is logged in to as rarely as can be", async (_, script, logIns) => {
  Object.assign(fake.script, script);
  const database = open({ connectionLimit: 3 });
  const failures = await times(4, () => failing(database.query("SELECT 1")));
  for (const { error } of failures) expect(error).toBeInstanceOf(DatabaseUnreachableError);
  expect(fake.sessions).toHaveLength(logIns);
});

describe("statements that wait", () => {
  test("are served in their order, also beside a loop", async () => {
    const database = open();
    await database.query("SELECT 1");
    const order: number[] = [];
    const looping = (async () => {
      for (let round = 0; round < 20; round += 1) await database.query("SELECT 1");
      order.push(0);
    })();
    await Promise.all([1, 2, 3].map((number) => database.query("SELECT 1").then(() => order.push(number))));
    await looping;
    expect(order).toEqual([1, 2, 3, 0]);
  });

  test("64 callers of 0.1 s each on one connection all get it, with the default limits", async () => {
    fake.script.statement = slow;
    const database = open();
    await times(64, () => database.query("SLOW"));
    expect(fake.sessions).toHaveLength(1);
  }, 20_000);

  test("cost no more each, the more they are", async () => {
    const database = open();
    const cpuOf = async (count: number): Promise<number> => {
      const cpu = process.cpuUsage();
      await times(count, () => database.query("SELECT 1"));
      return process.cpuUsage(cpu).user / count;
    };
    await cpuOf(300); // compiles
    const few = await cpuOf(300);
    expect(await cpuOf(3_000)).toBeLessThan(4 * few);
  }, 60_000);

  test("5,000 of them are refused at the shutdown, and the event loop turns meanwhile", async () => {
    const database = open();
    await database.open();
    const waiting = [failing(database.query("SELECT SLEEP(9)"))];
    waiting.push(...Array.from({ length: 5_000 }, () => failing(database.query("SELECT 1"))));
    let turns = 0;
    const turn = setInterval(() => (turns += 1), 1);
    await new Promise(setImmediate);
    expect(await database.close(shutdownIn(600))).toMatchObject({ cancelled: 1, givenUp: 0 });
    expect((await Promise.all(waiting)).filter(({ error }) => error.name === "ShuttingDownError")).toHaveLength(5_000);
    clearInterval(turn);
    expect(turns).toBeGreaterThan(10);
  });
});

test("64 statements share the attempts at a server with too many connections", async () => {
  fake.script.login = ({ number }) => (number < 4 ? refuse(1040) : undefined);
  const database = open({ connectionLimit: 4 });
  await times(64, () => database.query("SELECT 1"));
  expect(fake.sessions.length).toBeLessThanOrEqual(3 + 4);
});

test("a server that cannot be reached for a moment is tried again", async () => {
  const { port } = fake.settings;
  const database = open({}, { connectTimeoutMs: 3_000 });
  await fake.close();
  const answer = database.query("SELECT 1");
  setTimeout(() => void FakeDatabase.start({ port }).then((again) => (fake = again)), 300);
  expect(await answer).toHaveLength(1);
});

describe("a secret under rotation", () => {
  const setPassword = (password: string): void => {
    fake.server.account = { ...fake.server.account, password };
  };
  const ARN = "arn:aws:secretsmanager:eu-west-1:1:secret:x";
  const login = { type: "secret", secretArn: ARN, user: undefined } as const;
  const secret = (password: string): object => ({ SecretString: JSON.stringify({ username: "app", password }) });

  /** @param passwordAt what Secrets Manager has under a stage */
  function openBySecret(passwordAt: (stage?: string) => string, options: DatabaseOptions = {}) {
    const stages: (string | undefined)[] = [];
    const getSecretValue = async ({ VersionStage: stage }: { VersionStage?: string }): Promise<object> => {
      stages.push(stage);
      return Promise.resolve(secret(passwordAt(stage)));
    };
    return { stages, database: open(options, { login, secretsManager: { getSecretValue } }) };
  }

  test.each([1044, 1045, 1130, 1698, 1862, 3118, 3955, 4150, 4151])(
    "is read again after %i until it has another password, and none is sent twice",
    async (code) => {
      let password = "old";
      fake.script.login = ({ number }) => (number === 1 ? refuse(code) : undefined);
      const passwordAt = (stage?: string): string => {
        if (stage === undefined) return password;
        throw new Error("no such stage");
      };
      const { stages, database } = openBySecret(passwordAt, { connectionLimit: 4 });
      setPassword("new");
      setTimeout(() => (password = "new"), 300);
      await times(64, () => database.query("SELECT 1"));
      expect(fake.sessions.length).toBeLessThanOrEqual(1 + 4);
      expect(stages.filter((stage) => stage === "AWSPENDING")).toHaveLength(1);
    },
  );

  test("works with the password that the rotation has ready (AWSPENDING)", async () => {
    fake.script.login = ({ number }) => (number === 1 ? refuse(1045) : undefined);
    setPassword("new");
    const { stages, database } = openBySecret((stage) => (stage === undefined ? "old" : "new"));
    await times(3, () => database.query("SELECT 1"));
    expect(fake.sessions).toHaveLength(2);
    expect(stages).toHaveLength(3);
  });

  test("fails with the server's refusal when the time is over, after one log-in", async () => {
    fake.script.login = () => refuse(1045);
    const { database } = openBySecret(() => "old");
    const { error, ms } = await failing(database.query("SELECT 1"));
    expect(error.message).toContain("Access denied for user");
    expect(ms).toBeGreaterThan(900);
    expect(fake.sessions).toHaveLength(1);
  });

  test("whose password has expired (1820) leaves no such connection in the pool", async () => {
    let password = "old";
    setPassword("old");
    fake.script.statement = (_, { number }) => (number === 1 ? refuse(1820) : undefined);
    const { database } = openBySecret(() => password);
    setTimeout(() => {
      setPassword((password = "new"));
    }, 100);
    await database.query("SELECT 1");
    expect(fake.sessions).toMatchObject([{ quit: true }, { quit: false }]);
  });
});

test.each([
  ...[1040, 1203, 1226, 1053].map((code) => [code, 3]), // too many connections
  ...[4031, 1927].map((code) => [code, 1]), // the server ends the session
])("a server that answers the log-in with %i is asked again (%i×)", async (code = 0, refusals = 0) => {
  fake.script.login = ({ number }) => (number <= refusals ? refuse(code) : undefined);
  expect(await open().query("SELECT 1")).toHaveLength(1);
  expect(fake.sessions).toHaveLength(refusals + 1);
});

test.each([["abc"], [{ id: 1 }], [null], [7]])("values that are no array are refused: %j", async (values) => {
  const { error } = await failing(open().query("SELECT ?", values as never));
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain("not an array");
  expect(fake.statements).toEqual([]);
});

test("a statement that is longer than max_allowed_packet is not sent, and says so", async () => {
  fake.script.variables = () => ({ max_allowed_packet: 1_000 });
  const database = open();
  const { error } = await failing(database.query("SELECT ?", ["x".repeat(1_000)]));
  expect(error).toMatchObject({ name: "StatementTooLongError", code: "ERR_LGS_STATEMENT_TOO_LONG" });
  expect(error.message).toContain("max_allowed_packet");
  await database.query("SELECT 1");
  expect(fake.statements).toEqual(["SELECT 1"]);
});

test("ten statements that time out together are cancelled over one more connection", async () => {
  const database = open({ connectionLimit: 10 });
  const failures = await times(10, () => failing(database.query("SELECT SLEEP(9)", [], { timeoutMs: 300 })));
  for (const { error } of failures) expect(error).toBeInstanceOf(StatementTimeoutError);
  expect(fake.kills).toHaveLength(10);
  expect(fake.sessions.length).toBeLessThanOrEqual(13); // those that began late may need another
});

test("a server that keeps its too many connections is asked more and more rarely", async () => {
  fake.script.login = () => refuse(1040);
  const { error, ms } = await failing(open().query("SELECT 1"));
  expect(error.message).toContain("Too many connections");
  expect(ms).toBeLessThan(1_500);
  expect(fake.sessions.length).toBeLessThan(7);
});

test("after a failover the host is looked up anew, since its name may lead to another server by then", async () => {
  const found = [{ address: "127.0.0.1", family: 4 }];
  const lookup = jest.spyOn(dns, "lookup");
  lookup.mockImplementation((...args: unknown[]) => {
    process.nextTick(args.at(-1) as () => void, null, found);
  });
  const database = open({}, { host: "db.example" });
  await database.query("SELECT 1");
  await database.query("SELECT 1");
  expect(lookup).toHaveBeenCalledTimes(1);
  fake.script.statement = (sql, { number }) => (sql === "INSERT 1" && number === 1 ? refuse(1290) : undefined);
  fake.script.variables = ({ number }) => ({ read_only: number === 1 ? 1 : 0 });
  await database.query("INSERT 1");
  expect(lookup.mock.calls.map(([host]) => host)).toEqual(["db.example", "db.example"]);
});

test("a connection that was being opened during a failover is not used either", async () => {
  const database = open({ connectionLimit: 2 });
  await database.query("SELECT 1");
  const isOld = ({ number }: { readonly number: number }): boolean => number <= 2;
  fake.script.login = ({ number }) => (number === 2 ? wait(100) : undefined);
  fake.script.variables = (session) => ({ read_only: isOld(session) ? 1 : 0 });
  fake.script.statement = (sql, session) => {
    if (sql === "SLOW") return wait(30);
    return sql === "INSERT 1" && isOld(session) ? refuse(1290) : undefined;
  };
  await Promise.all([database.query("SLOW"), database.query("INSERT 1")]);
  expect(fake.sessions.map(({ quit }) => quit)).toEqual([true, true, false]);
});

test("a connection that was idle is asked although the clock was set back meanwhile", async () => {
  const database = open();
  await database.query("SELECT 1");
  laterBy(-60_000);
  await database.query("SELECT 1");
  expect(fake.statements).toEqual(["SELECT 1", "COM_PING", "SELECT 1"]);
});

test("the dead connections of one freeze are found out together", async () => {
  const pool = open({ connectionLimit: 5 });
  fake.script.statement = slow;
  await times(5, () => pool.query("SLOW"));
  expect(fake.server.openSessions).toHaveLength(5);
  fake.script.statement = (_, { number }) => (number <= 5 ? silent : undefined);
  laterBy(20_000);
  const begun = process.uptime();
  await pool.query("SELECT 1");
  expect(process.uptime() - begun).toBeLessThan(1.5);
  expect(fake.sessions.slice(0, 5).flatMap(({ statements }) => statements.at(-1))).toEqual(Array(5).fill("COM_PING"));
});

test("one that answers is used at once, and no further one is opened", async () => {
  const pool = open({ connectionLimit: 3 });
  fake.script.statement = slow;
  await times(2, () => pool.query("SLOW"));
  fake.script.statement = (sql, { number }) => (number === 2 && sql === "COM_PING" ? silent : undefined);
  laterBy(20_000);
  const begun = process.uptime();
  await pool.query("SELECT 1");
  expect(process.uptime() - begun).toBeLessThan(0.4);
  expect(fake.sessions).toHaveLength(2);
});

test("there are never more connections than the limit, also while old ones end", async () => {
  jest.spyOn(console, "warn").mockImplementation(() => undefined);
  let most = 0;
  fake.script.login = () => void (most = Math.max(most, fake.server.openSessions.length));
  const pool = open({ connectionLimit: 3 });
  for (let round = 0; round < 5; round += 1) {
    await times(9, (at) => pool.query(at % 3 === 0 ? "SET autocommit = 0" : "SELECT 1"));
  }
  expect(most).toBeLessThanOrEqual(3);
});

describe("a statement's own time limit", () => {
  test.each([
    ["cancels it on the server", "uuid", "100 ms: cancelled on the server"],
    ["cuts the connection off if it cannot be cancelled, and says so", undefined, "it may still run"],
  ])("%s", async (_, uuid, message) => {
    fake.script.variables = ({ number }) => ({ server_uuid: uuid ?? `uuid-${number}` });
    const { error } = await failing(open().query("SELECT SLEEP(9)", [], { timeoutMs: 100 }));
    expect(error).toBeInstanceOf(StatementTimeoutError);
    expect(error.message).toContain(message);
    expect(fake.kills).toEqual(uuid === undefined ? [] : [fake.sessions[0]?.connectionId]);
  });

  test("must be one", async () => {
    expect((await failing(open().query("SELECT 1", [], { timeoutMs: -1 }))).error).toBeInstanceOf(TypeError);
  });
});
