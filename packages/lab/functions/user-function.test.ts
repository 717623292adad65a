import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync, type Zippable } from "fflate";
import { userFunction, UserFunctionError, userVariables } from "./user-function";

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "user-function-"));
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

describe("on a runtime that is not Node.js", () => {
  test.each(["provided.al2023", "provided.al2", "provided"])("%s takes any executable bootstrap", (runtime) => {
    const path = directory("bootstrap");
    chmodSync(join(path, "bootstrap"), 0o755);
    const found = { name: "theirs", directory: path };
    expect(userFunction(path, scratch, undefined, runtime)).toEqual({ ...found, handler: "bootstrap" });
    expect(userFunction(path, scratch, "anything", runtime)).toEqual({ ...found, handler: "anything" });
  });

  test("a bootstrap of a zip is executable if the zip says so", () => {
    const executable = { os: 3, attrs: 0o100755 << 16 };
    const bootstrap = strToU8("#!/bin/sh");
    const path = zip({ "a.txt": strToU8("a"), bootstrap: [bootstrap, executable], "z.txt": strToU8("z") });
    const found = userFunction(path, scratch, undefined, "provided.al2023");
    const modes = ["a.txt", "bootstrap", "z.txt"].map((file) => statSync(join(found.directory, file)).mode & 0o111);
    expect(modes).toEqual([0, 0o111, 0]);
  });

  test.each([
    ["lambda_function.py", undefined, "lambda_function.lambda_handler"],
    ["app.py", "app.main", "app.main"],
    ["src/app.py", "src.app.main", "src.app.main"],
    ["src/app.py", "src/app.main", "src/app.main"],
    ["src/__init__.py", "src.main", "src.main"],
  ])("Python's handler in %s, with --entry %s", (file, entry, handler) => {
    const path = directory(file);
    expect(userFunction(path, scratch, entry, "python3.13")).toEqual({ name: "theirs", directory: path, handler });
  });
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
  function refusal(path: string, entry?: string, runtime?: string): string {
    try {
      userFunction(path, scratch, entry, runtime);
    } catch (error) {
      if (error instanceof UserFunctionError) return error.message;
    }
    return "it was not refused";
  }

  test("a path that does not exist", () => {
    expect(refusal(join(scratch, "nowhere"))).toContain('nowhere" does not exist');
  });

  test("TypeScript that is not compiled, or a zip of the folder instead of what is in it", () => {
    expect(refusal(directory("index.ts"))).toContain("contains none of index.mjs, index.js, index.cjs at its top");
    expect(refusal(zip({ theirs: { "index.js": strToU8("") } }))).toContain("contains none of index.mjs");
  });

  test("a bootstrap that cannot be started, or none", () => {
    expect(refusal(directory("bootstrap"), undefined, "provided.al2023")).toContain("chmod +x bootstrap");
    const zipped = zip({ bootstrap: [strToU8("#!/bin/sh"), { os: 0 }] });
    expect(refusal(zipped, undefined, "provided.al2023")).toContain("chmod +x bootstrap");
    rmSync(join(scratch, "theirs"), { recursive: true });
    expect(refusal(directory("main"), undefined, "provided")).toContain("contains none of bootstrap at its top; build");
  });

  test.each([
    ["bootstrap", "python3.13", "--runtime provided.al2023"],
    ["bootstrap", "nodejs24.x", "--runtime provided.al2023"],
    ["lambda_function.py", "nodejs24.x", "--runtime python3.13"],
    ["index.js", "provided", "--runtime nodejs24.x"],
  ])("%s on %s, with the runtime that fits", (file, runtime, fits) => {
    expect(refusal(directory(file), undefined, runtime)).toContain(fits);
  });

  test("a module of Python's that is not there", () => {
    expect(refusal(directory("app.py"), "src.app.main", "python3.14")).toContain("src/app.py, src/app/__init__.py");
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
    expect(refusal(path)).toContain(`is not a zip to deploy: give its directory, ${scratch}`);
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
    expect(refusal(path)).toContain("more than the 250 MB that Lambda allows");
    expect(existsSync(join(scratch, "handler"))).toBe(false);
  });
});

describe("the variables of a user handler", () => {
  const login = { host: "127.0.0.1", port: 3307, user: "me", password: "p@ss{host}", database: "shop" };

  test("have the server under each of the usual names", () => {
    const url = "mysql://me:p%40ss%7Bhost%7D@127.0.0.1:3307/shop";
    expect(userVariables(login)).toMatchObject({
      ...{ DB_HOST: "127.0.0.1", DB_PORT: "3307", DB_USER: "me", DB_PASSWORD: "p@ss{host}", DB_NAME: "shop" },
      ...{ MYSQL_HOST: "127.0.0.1", MYSQL_DATABASE: "shop", MYSQL_URL: url, DATABASE_URL: url },
    });
  });

  test("have the place of other servers by their names", () => {
    const own = { PG: "{db.host}:{db.port}", REDIS: "{my-cache.port}", NONE: "{other.port}" };
    const tcp = { db: { host: "127.0.0.1", port: 5 }, "my-cache": { host: "127.0.0.1", port: 6 } };
    expect(userVariables(login, own, tcp)).toMatchObject({ PG: "127.0.0.1:5", REDIS: "6", NONE: "{other.port}" });
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
