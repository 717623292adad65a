/** What the lab reads in a handler's code, and TypeScript that it compiles. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileHandler } from "./compile-handler";
import { handlerCode } from "./handler-code";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "handler-code-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

function libraryOf(code: string, imports = 'const mysql = require("mysql2/promise");'): unknown {
  write({ "index.js": `${imports}\n${code}` });
  return handlerCode({ directory }).library;
}

const MYSQL2 = { name: "mysql2", kind: "MySQL" };

test.each([
  ["const db = mysql.createPool(url);", "db.end()"],
  ['const db = require("mysql2").createPool(url).promise();', "db.end()"],
  ["let db;\nconst get = () => (db ??= mysql.createPool(url));", "db?.end()"],
  ["let n = 0, db;\nconst get = () => { db = mysql.createPool(url); };", "db?.end()"],
  ["exports.db = mysql.createPool(url);", "exports.db.end()"],
  ['const quoted = "{";\n// {\nconst db = mysql.createPool(url);', "db.end()"],
  ["const a = mysql.createPool(url);\nconst b = mysql.createPool(url);", "Promise.all([a.end(), b.end()])"],
  ["const a = mysql.createPool(url);\nconst b = mysql.createPool(url);\na.end();", "b.end()"],
])("closes what the code calls it: %s", (code, close) => {
  expect(libraryOf(code)).toEqual({ ...MYSQL2, close });
});

test.each([
  ["class Db { constructor() { this.pool = mysql.createPool(url); } }", "this.pool.end()"],
  ["class Db { #pool = mysql.createPool(url); }", "this.#pool.end()"],
  ["class Db { pool = mysql.createPool(url); }", "this.pool.end()"],
])("a variable of a class is told apart: %s", (code, close) => {
  expect(libraryOf(code)).toEqual({ ...MYSQL2, close, isMember: true });
});

test.each([
  ["exports.handler = async () => { const db = await mysql.createConnection(url); };", "db.end()"],
  ["async function open() {\n  const db = mysql.createPool(url);\n  return db;\n}", "db.end()"],
  [
    "exports.handler = async () => { let db; try { db = await mysql.createConnection(url); } finally {} };",
    "db?.end()",
  ],
])("a variable of a function is told apart: %j", (code, close) => {
  expect(libraryOf(code)).toEqual({ ...MYSQL2, close, isLocal: true });
});

test("a variable that the code does not name is the documentation's, and marked", () => {
  expect(libraryOf("open(mysql);")).toEqual({ ...MYSQL2, close: "pool.end()", isGuessed: true });
});

test.each([
  [
    "kysely",
    "const db = new Kysely({ dialect: new MysqlDialect({ pool: createPool(url) }) });",
    "Kysely",
    "MySQL",
    "db.destroy()",
  ],
  ["typeorm", 'const orders = new DataSource({ type: "postgres" });', "TypeORM", "PostgreSQL", "orders.destroy()"],
  ["knex", 'module.exports = require("knex")({ client: "mysql2" });', "knex", "MySQL", "module.exports.destroy()"],
  ["@mikro-orm/mysql", "const orm = await MikroORM.init(config);", "MikroORM", "MySQL", "orm.close()"],
  ["postgres", "const sql = postgres(url);", "postgres", "PostgreSQL", "sql.end()"],
  ["slonik", "const pool = await createPool(url);", "Slonik", "PostgreSQL", "pool.end()"],
  ["mongodb", "const client = new MongoClient(url);", "mongodb", "MongoDB", "client.close()"],
  ["mongoose", "await mongoose.connect(url);", "mongoose", "MongoDB", "mongoose.disconnect()"],
  ["mssql", "const pool = await sql.connect(url);", "mssql", "SQL Server", "pool.close()"],
  ["drizzle-orm/mysql2", "const db = drizzle(url);", "Drizzle", "MySQL", "db.$client.end()"],
])("%s: %s", (name, code, library, kind, close) => {
  expect(libraryOf(code, `const {} = require("${name}");`)).toEqual({ name: library, kind, close });
});

test("an ORM closes the pool of its driver, and what nobody closes goes before what is closed", () => {
  const orm = 'const knex = require("knex"), mysql = require("mysql2");';
  expect(libraryOf("const pool = mysql.createPool(url);\nconst db = knex(pool);", orm)).toMatchObject({
    close: "db.destroy()",
  });
  const both = 'const mysql = require("mysql2/promise"), pg = require("pg");';
  const code = "const a = mysql.createPool(url);\nconst b = new pg.Pool();\nprocess.on('SIGTERM', () => a.end());";
  expect(libraryOf(code, both)).toMatchObject({ name: "pg", close: "b.end()" });
});

test("mariadb's pool needs minimumIdle, unless the code has it", () => {
  const mariadb = 'const mariadb = require("mariadb");';
  expect(libraryOf("const pool = mariadb.createPool({ connectionLimit: 3 });", mariadb)).toHaveProperty("note");
  expect(libraryOf("const pool = mariadb.createPool({ minimumIdle: 1 });", mariadb)).not.toHaveProperty("note");
  expect(libraryOf("const it = await mariadb.createConnection(url);", mariadb)).not.toHaveProperty("note");
});

test("the file with the variable is named, and says whether it is CommonJS; TypeScript beside JavaScript does not run", () => {
  write({
    "index.mjs": 'import { pool } from "./src/db.cjs";\nexport const handler = () => pool.query("");',
    "src/db.cjs": 'const mysql = require("mysql2/promise");\nexports.pool = mysql.createPool(url);',
    "src/db.ts": 'import mysql from "mysql2/promise";\nexport const pool = mysql.createPool(url);',
  });
  expect(handlerCode({ directory })).toMatchObject({
    library: { close: "exports.pool.end()", file: join("src", "db.cjs") },
    isCommonJs: true,
  });
});

test("what a bundle has of packages is not the function's own", () => {
  write({
    "index.js": `// node_modules/a-lib/index.js
process.on("SIGTERM", () => process.exit(process.env.A_LIB));
// ../node_modules/.pnpm/mysql2@3/node_modules/mysql2/promise.js
var inner = createPool(config);
// src/index.ts
var db = mysql.createPool(process.env.ORDERS_HOST);
`,
  });
  expect(handlerCode({ directory })).toMatchObject({
    ...{ variables: ["ORDERS_HOST"], listensToSigterm: false, callsExit: false },
    library: { ...MYSQL2, close: "db.end()" },
  });
});

describe("TypeScript", () => {
  function compile(): string {
    const into = join(directory, "out");
    const found = { directory, source: "index.ts", file: "index", exported: "handler", into };
    expect(compileHandler(found)).toBeUndefined();
    return readFileSync(join(into, "index.js"), "utf8");
  }

  test("the paths of its tsconfig.json are no packages", () => {
    write({
      "tsconfig.json": '{ "compilerOptions": { "paths": { "@db/*": ["./src/db/*"] } } }',
      "src/db/pool.ts": 'export const pool = "the pool";',
      "index.ts":
        'import { readFileSync } from "node:fs";\nimport { S3 } from "@aws-sdk/client-s3";\nimport { here } from "is-here";\nimport { pool } from "@db/pool";\nexport const handler = () => [S3, readFileSync, here, pool];',
      "node_modules/is-here/package.json": '{ "name": "is-here" }',
    });
    const compiled = compile();
    expect(compiled).toContain('"the pool"');
    expect(compiled).toContain('require("is-here")');
    expect(compiled).toContain('require("@aws-sdk/client-s3")');
  });

  test("a package that is missing stays an import, so that Node.js says so", () => {
    write({ "index.ts": 'import { one } from "not-here";\nexport const handler = () => one;' });
    expect(compile()).toContain('require("not-here")');
  });
});
