import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync, type Zippable } from "fflate";
import { userFunction, UserFunctionError, userVariables } from "./user-function";

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "stranger-"));
});
afterEach(() => {
  rmSync(scratch, { recursive: true });
});

function directory(...files: readonly string[]): string {
  const path = join(scratch, "theirs");
  mkdirSync(join(path, "src"), { recursive: true });
  for (const file of files) writeFileSync(join(path, file), "");
  return path;
}

function zip(content: Zippable): string {
  const path = join(scratch, "theirs.zip");
  writeFileSync(path, zipSync(content));
  return path;
}

test.each(["index.mjs", "index.js", "index.cjs"])("a directory with %s is a function, named after it", (file) => {
  const path = directory(file, "package.json");
  expect(userFunction(path, scratch)).toEqual({ name: "theirs", directory: path, handler: "index.handler" });
});

test("--entry says where the handler is", () => {
  expect(userFunction(directory("src/app.mjs"), scratch, "src/app.main").handler).toBe("src/app.main");
});

test("a zip is unpacked into the scratch directory, with its folders", () => {
  const found = userFunction(
    zip({ "index.mjs": strToU8("export {}"), node_modules: { dep: { "index.js": strToU8("module.exports = 1") } } }),
    scratch,
  );
  expect(found).toMatchObject({ name: "theirs", handler: "index.handler" });
  expect(found.directory.startsWith(scratch)).toBe(true);
  expect(readFileSync(join(found.directory, "node_modules/dep/index.js"), "utf8")).toBe("module.exports = 1");
});

describe("is refused as wrong usage", () => {
  function refusal(path: string, entry?: string): string {
    try {
      userFunction(path, scratch, entry);
    } catch (error) {
      if (error instanceof UserFunctionError) return error.message;
    }
    return "it was not refused";
  }

  test("a path that does not exist", () => {
    expect(refusal(join(scratch, "nowhere"))).toContain('nowhere" does not exist');
  });

  test("TypeScript that is not compiled, or a zip of the folder instead of what is in it", () => {
    expect(refusal(directory("index.ts"))).toContain("holds none of index.mjs, index.js, index.cjs at its top");
    expect(refusal(zip({ theirs: { "index.js": strToU8("") } }))).toContain("holds none of index.mjs");
  });

  test("two files that could be the handler's", () => {
    expect(refusal(directory("index.mjs", "index.js"))).toContain("holds index.mjs and index.js");
  });

  test("an entry that is none", () => {
    expect(refusal(directory("index.mjs"), "index")).toContain('--entry "index" is not of the form file.export');
  });

  test("a file that is no zip", () => {
    const path = join(scratch, "index.mjs");
    writeFileSync(path, "export {}");
    expect(refusal(path)).toContain("is not a zip to deploy: invalid zip data");
  });

  test.each(["../escaped.js", "ok/../../escaped.js", "/tmp/escaped.js", "..\\escaped.js"])(
    "a zip that would write %s, and it has written nothing",
    (name) => {
      expect(refusal(zip({ "index.js": strToU8(""), [name]: strToU8("") }))).toContain(`"${name}" leads out of it`);
      expect(readdirSync(scratch)).toEqual(["theirs.zip"]);
    },
  );

  test("a zip with more than Lambda takes", () => {
    const path = zip({ "index.js": strToU8("") });
    const bytes = readFileSync(path);
    // The size in the central directory, 24 bytes behind its signature: nothing that large has to be made for it.
    bytes.writeUInt32LE(251 * 1024 * 1024, bytes.indexOf(Buffer.from("PK\u0001\u0002")) + 24);
    writeFileSync(path, bytes);
    expect(refusal(path)).toContain("more than the 250 MB that Lambda takes");
    expect(existsSync(join(scratch, "handler"))).toBe(false);
  });
});

describe("the variables of a stranger's handler", () => {
  const login = { host: "127.0.0.1", port: 3307, user: "me", password: "p@ss{host}", database: "shop" };

  test("have the server under each of the usual names", () => {
    const url = "mysql://me:p%40ss%7Bhost%7D@127.0.0.1:3307/shop";
    expect(userVariables(login)).toMatchObject({
      ...{ DB_HOST: "127.0.0.1", DB_PORT: "3307", DB_USER: "me", DB_PASSWORD: "p@ss{host}", DB_NAME: "shop" },
      ...{ MYSQL_HOST: "127.0.0.1", MYSQL_DATABASE: "shop", MYSQL_URL: url, DATABASE_URL: url },
    });
  });

  test("can be named at will, with placeholders; other braces stay", () => {
    const own = { RDS: "{user}:{password}@{host}:{port}", DB_NAME: "other", JSON: '{"a":{"host":1},"b":"{x}"}' };
    expect(userVariables(login, own)).toMatchObject({
      RDS: "me:p@ss{host}@127.0.0.1:3307",
      DB_NAME: "other",
      JSON: '{"a":{"host":1},"b":"{x}"}',
    });
  });
});
