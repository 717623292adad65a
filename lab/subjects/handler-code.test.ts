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

function closeOf(code: string): unknown {
  write({ "index.js": `const mysql = require("mysql2/promise");\n${code}` });
  return handlerCode({ directory }).library;
}

test.each([
  ["const db = mysql.createPool(url);", "db.end()"],
  ["let db;\nconst get = () => (db ??= mysql.createPool(url));", "db.end()"],
  ["class Db { constructor() { this.pool = mysql.createPool(url); } }", "this.pool.end()"],
  ["class Db { #pool = mysql.createPool(url); }", "#pool.end()"],
  ['const quoted = "{";\n// {\nconst db = mysql.createPool(url);', "db.end()"],
])("closes what the code calls it: %s", (code, close) => {
  expect(closeOf(code)).toEqual({ name: "mysql2", close });
});

test.each([
  "exports.handler = async () => { const db = await mysql.createConnection(url); };",
  "async function open() {\n  const db = mysql.createPool(url);\n  return db;\n}",
])("a variable of a function is told apart: %j", (code) => {
  expect(closeOf(code)).toEqual({ name: "mysql2", close: "db.end()", isLocal: true });
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
    library: { name: "mysql2", close: "db.end()" },
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
