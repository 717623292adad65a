/** Whatever fails, nothing that the caller passed as a value is in the error or in the log. */
import { inspect } from "node:util";
import fc from "fast-check";
import { refuse } from "lambda-fake-mysql";
import { FakeDatabase, shutdownIn } from "./fake-database.ts";

/** The messages of MySQL's errors that quote a value, as the server writes them. */
const MESSAGES: readonly (readonly [number, (value: string) => string])[] = [
  [1062, (value) => `Duplicate entry '${value}' for key 'user.email'`],
  [1064, (value) => `You have an error in your SQL syntax; check the right syntax to use near '${value}' at line 1`],
  [1265, () => "Data truncated for column 'age' at row 1"],
  [1292, (value) => `Truncated incorrect DOUBLE value: '${value}'`],
  [1366, (value) => `Incorrect integer value: '${value}' for column 'age' at row 1`],
  [1367, (value) => `Illegal double '${value}' value found during parsing`],
  [1411, (value) => `Incorrect datetime value: '${value}' for function str_to_date`],
  [1525, (value) => `Incorrect DATE value: '${value}'`],
  [1526, (value) => `Table has no partition for value ${value}`],
  [1690, (value) => `BIGINT UNSIGNED value is out of range in '(${value} - 1)'`],
];

/** Values that no message, name or stack has by itself. */
const secret = fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => `s3cr3t${text}t3rc3s`);
const value = fc.oneof(
  secret,
  secret.map((text) => `${text}' for key '${text}`),
  secret.map((text) => Buffer.from(text)),
  secret.map((text) => [[text, text]]),
  secret.map((text) => ({ email: text })),
);

test("10,000 failing statements with random values", async () => {
  const fake = await FakeDatabase.start();
  const database = fake.database();
  const log: unknown[] = [];
  const warn = jest.spyOn(console, "warn").mockImplementation((...args) => void log.push(args));
  const error = fc.constantFrom(...MESSAGES);
  const property = fc.asyncProperty(error, value, secret, async ([code, message], one, literal) => {
    const quoted = typeof one === "string" ? one : literal;
    fake.script.statement = (sql) => (sql.startsWith("INSERT") ? refuse(code, message(quoted)) : undefined);
    const sql = `INSERT INTO t VALUES (?, '${literal.replaceAll(/['\\]/g, "")}')`;
    const error = await database.query(sql, [one]).catch((reason: unknown) => reason as Error);
    const shown = inspect(error, { showHidden: true, depth: 9 }) + JSON.stringify(error);
    expect(shown + String((error as Error).stack)).not.toMatch(/s3cr3t|t3rc3s/);
    expect(error).toMatchObject({ errno: code });
    fake.sessions.forEach(({ statements }) => statements.splice(0));
  });
  await fc.assert(property, { numRuns: 10_000 });
  expect(inspect(log)).not.toMatch(/s3cr3t|t3rc3s/);
  warn.mockRestore();
  await database.close(shutdownIn(500));
  await fake.close();
}, 300_000);
