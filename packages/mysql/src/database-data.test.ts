/** What is acknowledged is there, what is refused has not run, and nothing runs twice. */
import { inspect } from "node:util";
import type { RowDataPacket } from "mysql2";
import { CommitOutcomeUnknownError, TransactionEndedError } from "./database.ts";
import type { Database, Query, WriteResult } from "./database.ts";
import { withoutValues } from "./pool/statement-error.ts";
import { answer, farewell, hangUp, refuse, type Reaction } from "lambda-fake-mysql";
import { FakeDatabase, reasonOf, shutdownIn } from "./fake-database.ts";

let fake: FakeDatabase;
let database: Database;
const warnings = jest.spyOn(console, "warn").mockImplementation(() => undefined);

beforeEach(async () => {
  fake = await FakeDatabase.start();
  database = fake.database();
  warnings.mockClear();
});

afterEach(async () => {
  await database.close(shutdownIn(500));
  await fake.close();
});

/** The server refuses this statement. */
function refuses(refused: string, ...error: Parameters<typeof refuse>): void {
  fake.script.statement = (sql) => (sql === refused ? refuse(...error) : undefined);
}

/** What a transaction of these statements, one after the other, rejects with. */
function inOne(...statements: readonly string[]): Promise<Error> {
  const work = async (query: Query): Promise<void> => {
    for (const sql of statements) await query(sql);
  };
  return reasonOf(database.transaction(work));
}

/** How often it reached the server. */
const timesOf = (statement: string): number => fake.statements.filter((sql) => sql === statement).length;

describe("a transaction's query", () => {
  test("is refused after COMMIT, and nothing runs", async () => {
    let kept: Query | undefined;
    await database.transaction(async (query) => {
      kept = query;
      await query("INSERT 1");
    });
    expect(await reasonOf(kept?.("INSERT 2") ?? Promise.resolve())).toBeInstanceOf(TransactionEndedError);
    expect(fake.statements).toEqual(["START TRANSACTION", "INSERT 1", "COMMIT"]);
  });

  test("is refused while ROLLBACK is due: one branch fails, the other's statements never run", async () => {
    refuses("BAD", 1062);
    const branches = database.transaction(async (query) => {
      const other = async (): Promise<void> => {
        await query("INSERT 1");
        await query("INSERT 2");
      };
      await Promise.all([query("BAD"), other()]);
    });
    expect(await reasonOf(branches)).toMatchObject({ errno: 1062 });
    expect(fake.statements.filter((sql) => sql.startsWith("INSERT"))).toEqual([]);
    expect(fake.statements).toContain("ROLLBACK");
  });

  test("is waited for before COMMIT if it was not awaited", async () => {
    await database.transaction((query) => {
      void query("INSERT 1");
      void query("INSERT 2");
      return Promise.resolve();
    });
    expect(fake.statements).toEqual(["START TRANSACTION", "INSERT 1", "INSERT 2", "COMMIT"]);
  });

  test.each<[string, (query: Query) => Promise<unknown>]>([
    ["fails", (query) => query("BAD")],
    ["asks for more", (query) => query("INSERT 1").then(() => query("INSERT 2"))],
  ])("rolls back if it was not awaited and %s", async (_, begin) => {
    refuses("BAD", 1062);
    const ended = database.transaction((query) => {
      begin(query).catch(() => undefined);
      return Promise.resolve();
    });
    expect(await reasonOf(ended)).toBeInstanceOf(TransactionEndedError);
    expect(fake.statements).not.toContain("COMMIT");
    expect(fake.statements).not.toContain("INSERT 2");
  });

  test("is refused after a statement that commits by itself", async () => {
    expect((await inOne("CREATE TABLE t (id INT)", "INSERT 1")).message).toContain("DDL");
    expect(fake.statements).not.toContain("INSERT 1");
  });

  test("is refused after an error that rolled the transaction back, and so is COMMIT", async () => {
    fake.script.statement = (sql, session) => {
      if (sql !== "UPDATE") return undefined;
      session.state.inTransaction = false; // as a deadlock does
      return refuse(1213);
    };
    const swallowed = database.transaction(async (query) => {
      await query("UPDATE").catch(() => undefined);
    });
    expect((await reasonOf(swallowed)).message).toContain("rolled the transaction back, or committed it before a DDL");
    const continued = database.transaction(async (query) => {
      await query("UPDATE").catch(() => undefined);
      await query("INSERT 1");
    });
    expect(await reasonOf(continued)).toBeInstanceOf(TransactionEndedError);
    expect(fake.statements).not.toContain("COMMIT");
    expect(fake.statements).not.toContain("INSERT 1");
  });

  test.each(["START TRANSACTION", "/* again */ BEGIN", "begin work"])(
    "refuses %s, which would commit what came before; what is begun can be rolled back",
    async (sql) => {
      expect((await inOne("INSERT 1", sql)).message).toContain("use SAVEPOINT");
      expect(fake.statements).toEqual(["START TRANSACTION", "INSERT 1", "ROLLBACK"]);
    },
  );

  test("a procedure that ends it leaves the outcome unknown, and says so", async () => {
    fake.script.statement = (sql, session) => {
      if (sql.startsWith("CALL")) session.state.inTransaction = false;
      return undefined;
    };
    expect(await inOne("INSERT 1", "CALL p()")).toBeInstanceOf(CommitOutcomeUnknownError);
  });

  test("a COMMIT that a read-only server refuses ends the connection", async () => {
    refuses("COMMIT", 1290);
    expect(await inOne("INSERT 1")).toMatchObject({ errno: 1290 });
    await database.query("SELECT 1");
    expect(fake.sessions).toMatchObject([{ quit: true }, { quit: false }]);
  });

  test.each([hangUp, refuse(1053), refuse(1927)] as const)(
    "a connection lost in COMMIT (%j) leaves the outcome unknown, and says so",
    async (reaction) => {
      fake.script.statement = (sql) => (sql === "COMMIT" ? reaction : undefined);
      expect(await inOne("INSERT 1")).toBeInstanceOf(CommitOutcomeUnknownError);
      expect(timesOf("COMMIT")).toBe(1);
    },
  );
});

describe("what a statement leaves on its connection", () => {
  test("an open transaction is rolled back before the answer, with a line in the log", async () => {
    await database.query("START TRANSACTION");
    expect(fake.statements).toEqual(["START TRANSACTION", "ROLLBACK"]);
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  test("so is a transaction that a failing procedure began", async () => {
    fake.script.statement = (sql, session) => {
      if (!sql.startsWith("CALL")) return undefined;
      session.state.inTransaction = true;
      return refuse(1644);
    };
    await reasonOf(database.query("CALL p()"));
    expect(fake.statements).toEqual(["CALL p()", "COM_PING", "ROLLBACK"]);
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  test("a connection with autocommit off is ended", async () => {
    await database.query("SET autocommit = 0");
    await database.query("SELECT 1");
    expect(fake.sessions).toMatchObject([{ quit: true }, { statements: { length: 2 } }]);
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  test("a connection whose transaction cannot be rolled back is ended, with COM_QUIT", async () => {
    fake.script.statement = (sql, session) => {
      if (sql === "XA START 'x'") session.state.inTransaction = true;
      return sql === "ROLLBACK" ? refuse(1399) : undefined;
    };
    await database.query("XA START 'x'");
    await database.query("SELECT 1");
    expect(fake.sessions).toMatchObject([{ quit: true }, { quit: false }]);
  });

  test("the session is reset on request", async () => {
    const resetting = fake.database({ resetSession: true });
    await resetting.query("SET @a = 1");
    await resetting.close(shutdownIn(500));
    expect(fake.statements[1]).toBe("COM_RESET_CONNECTION");
    expect(fake.statements[2]).toContain("NAMES utf8mb4");
  });
});

test("a server that does not reset sessions costs connections, and a line in the log says so", async () => {
  refuses("COM_RESET_CONNECTION", 1047);
  const resetting = fake.database({ resetSession: true });
  await resetting.query("SELECT 1");
  await resetting.query("SELECT 2");
  expect(fake.sessions).toMatchObject([{ quit: true }, { quit: true }]);
  expect(warnings).toHaveBeenLastCalledWith(expect.stringContaining("does not reset the session"));
});

describe("a statement runs a second time", () => {
  test("never because of a message, whatever words it quotes", async () => {
    const message = "Can't add new command when connection is in closed state; write EPIPE";
    refuses("INSERT 1", 1644, message);
    await reasonOf(database.query("INSERT 1"));
    expect(timesOf("INSERT 1")).toBe(1);
  });

  test.each([
    [4031, "HY000"],
    [1053, "08S01"],
    [1927, "70100"],
    [1290, "45000"],
  ])("never because of a number that the server answers with: SIGNAL sets %i (%s)", async (errno, sqlState) => {
    refuses("INSERT 1", errno, undefined, sqlState);
    expect(await reasonOf(database.query("INSERT 1"))).toMatchObject({ errno });
    expect(timesOf("INSERT 1")).toBe(1);
    if (errno === 1290) await database.query("SELECT 1");
    expect(fake.sessions).toHaveLength(1);
  });

  test.each([4031, 1053, 1927])("if the server's last error %i crossed it on the wire", async (code) => {
    fake.script.statement = (sql, { number }) => (sql === "INSERT 1" && number === 1 ? farewell(code) : undefined);
    expect(await database.query<WriteResult>("INSERT 1")).toMatchObject({ affectedRows: 1, insertId: 1 });
    expect(fake.sessions).toHaveLength(2);
  });

  test("a BEGIN that a farewell crosses is repeated, and the work runs once", async () => {
    fake.script.statement = (sql, { number }) =>
      sql === "START TRANSACTION" && number === 1 ? farewell(4031) : undefined;
    const work = jest.fn((query: Query) => query("INSERT 1"));
    await database.transaction(work);
    expect(work).toHaveBeenCalledTimes(1);
    expect(fake.sessions).toHaveLength(2);
  });

  test.each([1053, 1927, 3169])(
    "a BEGIN that the server answers with %i is repeated: it does nothing",
    async (code) => {
      const reactions = { "START TRANSACTION": refuse(code), COM_PING: hangUp } as Readonly<Record<string, Reaction>>;
      fake.script.statement = (sql, { number }) => (number === 1 ? reactions[sql] : undefined);
      await database.transaction((query) => query("INSERT 1"));
      expect(fake.sessions).toHaveLength(2);
    },
  );

  test("not after the connection ended: it may have run", async () => {
    fake.script.statement = (sql) => (sql === "INSERT 1" ? hangUp : undefined);
    await reasonOf(database.query("INSERT 1"));
    expect(timesOf("INSERT 1")).toBe(1);
  });

  test.each([1290, 1792, 1836])("on another server after %i, once", async (code) => {
    fake.script.variables = () => ({ read_only: 1 });
    fake.script.statement = (sql, { number }) => (sql === "INSERT 1" && number === 1 ? refuse(code) : undefined);
    await database.query("INSERT 1");
    expect(fake.sessions).toMatchObject([{ quit: true }, { quit: false }]);
    refuses("INSERT 1", code);
    expect(await reasonOf(database.query("INSERT 1"))).toMatchObject({ errno: code });
    expect(timesOf("INSERT 1")).toBe(4);
  });

  test.each<[number, string[], ...unknown[]]>([
    [1290, [], "another option, such as secure_file_priv, prevents it"],
    [1792, [], "its transaction is READ ONLY"],
    [1792, ["transaction_read_only"], "its session is READ ONLY"],
    [1792, ["read_only", "transaction_read_only"], "session and server are READ ONLY"],
  ])("not after %i with %j ON: %s", async (code, on) => {
    fake.script.variables = () => Object.fromEntries(on.map((name) => [name, 1]));
    refuses("INSERT 1", code);
    expect(await reasonOf(database.query("INSERT 1"))).toMatchObject({ errno: code });
    await database.query("SELECT 1");
    expect(timesOf("INSERT 1")).toBe(1);
    expect(fake.sessions).toHaveLength(1);
  });

  test("not if it is a procedure refused half way, or a transaction; but the connection is closed", async () => {
    fake.script.variables = () => ({ read_only: 1 });
    fake.script.statement = (sql) => (/CALL|INSERT/.test(sql) ? refuse(1290) : undefined);
    await reasonOf(database.query("/* a comment */ CALL p()"));
    await inOne("INSERT 1");
    await database.query("SELECT 1");
    expect(fake.statements.filter((sql) => /CALL|INSERT/.test(sql))).toHaveLength(2);
    expect(fake.sessions).toHaveLength(3);
  });
});

describe("an error", () => {
  const printed = async (code: number, message: string, sqlState?: string): Promise<string> => {
    fake.script.statement = (sql) => (/^INSERT/.test(sql) ? refuse(code, message, sqlState) : undefined);
    const values = ["secret@example.org", 4711];
    const error = await reasonOf(database.query("INSERT INTO t VALUES (?, 'top-secret', ?)", values));
    return inspect(error, { showHidden: true }) + JSON.stringify(error) + error.message + (error.stack ?? "");
  };

  test.each([
    [1062, "Duplicate entry 'secret@example.org-it's' for key 'user.email'", "'?' for key 'user.email'"],
    [1062, "Duplicate entry 'a' for key 'secret@example.org' for key 'user.email'", "'?' for key 'user.email'"],
    [1064, "You have an error in your SQL syntax near 'secret@example.org', 5' at line 1", "SQL syntax"],
    [1292, "Truncated incorrect DOUBLE value: 'secret@example.org'", "incorrect DOUBLE value: '?'"],
    [1366, "Incorrect integer value: 'secret@example.org' for column 'age' at row 1", "for column 'age' at row 1"],
    [1411, "Incorrect datetime value: 'secret@example.org' for function str_to_date", "for function str_to_date"],
    [1526, "Table has no partition for value 4711", "no partition for the value"],
    [1644, "no account 'secret@example.org'", "no account '?'"],
    [4321, 'no "top-secret" of secret@example.org"', "no '?'"],
  ])("%i shows no value, however it is printed: %s", async (code, message, shown) => {
    const all = await printed(code, message);
    expect(all).not.toMatch(/secret@|top-secret|4711|it's/);
    expect(all).toContain(shown);
  });

  test("of a procedure's own (SIGNAL) shows nothing in quotes, whatever its number", async () => {
    expect(await printed(1146, "no account 'secret@example.org'", "45000")).toContain("no account '?'");
  });

  test.each([
    [1146, "Table 'app.nope' doesn't exist"],
    [1054, "Unknown column 'nope' in 'WHERE'"],
    [1406, "Data too long for column 'name' at row 1"],
    [1213, "Deadlock found when trying to get lock; try restarting transaction"],
  ])("%i keeps its names: %s", async (code, message) => {
    expect(await printed(code, message)).toContain(message);
  });

  test("takes no time that grows with the values", async () => {
    fake.script.statement = (sql) => (sql.startsWith("INSERT") ? refuse(1062) : undefined);
    const bytes = new Uint8Array(2_000_000);
    const error = await reasonOf(database.query("INSERT INTO t VALUES (?)", [bytes]));
    const begun = process.uptime();
    for (let round = 0; round < 1_000; round += 1) withoutValues(error);
    expect(process.uptime() - begun).toBeLessThan(1);
  });
});

test("values are exact, and a Date is written in UTC", async () => {
  fake.script.statement = (sql) => (sql.includes("big") ? answer({ big: 9007199254740993n, small: 42 }) : undefined);
  const [row] = await database.query<RowDataPacket>("SELECT big FROM t WHERE at = ?", [new Date(0)]);
  expect(row).toEqual({ big: "9007199254740993", small: 42 });
  expect(fake.statements[0]).toContain("'1970-01-01 00:00:00.000'");
});

test("the stack of a failed statement leads to its caller", async () => {
  fake.script.statement = (sql) => (sql.includes("no_such_column") ? refuse(1054) : undefined);
  const error = await reasonOf(database.query("SELECT no_such_column"));
  expect(error.stack).toContain("database-data.test.ts");
});

test("no value is put into a literal that a backslash does not protect", async () => {
  await database.query("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'");
  const refused = await reasonOf(database.query("SELECT ?", ["' OR 1 = 1 -- "]));
  expect(refused.message).toContain("sql_mode has NO_BACKSLASH_ESCAPES");
  await database.query("SELECT 1");
  await database.query("SET SESSION sql_mode = ''");
  await database.query("SELECT ?", ["it's"]);
  expect(fake.statements.filter((sql) => sql.startsWith("SELECT"))).toEqual(["SELECT 1", "SELECT 'it\\'s'"]);
});
