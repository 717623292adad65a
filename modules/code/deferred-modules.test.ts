import { execFileSync } from "node:child_process";
import path from "node:path";
import { bundle, type Bundle } from "./bundle";
import { project } from "../__tests__/code-project";

const MYSQL2 = path.dirname(require.resolve("mysql2/package.json"));

/** An import of a file of mysql2, or of a package that mysql2 has. */
function imported(name: string): string {
  return JSON.stringify(require.resolve(name, { paths: [MYSQL2] }));
}

function bundled(source: string, others: Readonly<Record<string, string>> = {}, sourceMap = false): Bundle {
  const file = path.join(project({ "entry.ts": source, ...others }), "entry.ts");
  return bundle({ entry: file, file, runtime: "nodejs24.x", external: [], loader: {}, sourceMap });
}

/** A directory with the files of the bundle. */
function written({ files }: Bundle): string {
  return project(Object.fromEntries([...files].map(([name, content]) => [name, Buffer.from(content)])));
}

/** What the handler answers where the bundle is deployed, and which of its files were read. */
function answer(bundle: Bundle): { readonly answered: unknown; readonly read: readonly string[] } {
  const directory = written(bundle);
  const script = `
    import Module from "node:module";
    const { handler } = await import(${JSON.stringify(path.join(directory, "index.mjs"))});
    const answered = await handler();
    const read = Object.keys(Module._cache).map((file) => file.slice(${directory.length + 1})).filter((file) => file.startsWith("deferred"));
    console.log(JSON.stringify({ answered, read }));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  return JSON.parse(output) as ReturnType<typeof answer>;
}

const deferred = ({ files }: Bundle): readonly string[] =>
  [...files.keys()].filter((name) => name.startsWith("deferred/")).sort();

/** The server's answer to a wrong password, as the driver reads it. */
const REFUSAL = `
  import Packet from ${imported("./lib/packets/packet.js")};
  const bytes = Buffer.concat([Buffer.from([0, 0, 0, 0, 0xff, 0x15, 0x04]), Buffer.from("#28000no")]);
  export const handler = async () => {
    const { code, errno } = new Packet(0, bytes, 0, bytes.length).asError("utf8");
    return [errno, code];
  };
`;

test("mysql2's error codes have a file of their own, which is read when an error is named", () => {
  const bundle = bundled(REFUSAL);
  expect(deferred(bundle)).toContain("deferred/mysql2.cjs");
  expect(answer(bundle)).toEqual({ answered: [1045, "ER_ACCESS_DENIED_ERROR"], read: ["deferred/mysql2.cjs"] });
});

test("64-bit integers stay exact", () => {
  const source = `
    import Packet from ${imported("./lib/packets/packet.js")};
    const bytes = Buffer.from("000000000123456789abcdef", "hex");
    export const handler = async () => new Packet(0, bytes, 0, bytes.length).readInt64String();`;
  const { answered, read } = answer(bundled(source));
  expect(answered).toBe(Buffer.from("0123456789abcdef", "hex").readBigUInt64LE().toString());
  expect(read).toEqual(["deferred/long.cjs"]);
});

test("the proxy of a class is called, extended, set and asked like the class", () => {
  const source = `
    import Long from ${imported("long")};
    export const handler = async () => {
      Long.own = 1;
      class Longer extends Long {}
      const one = Long.fromNumber(1);
      return [one.toString(), one instanceof Long, new Longer(7, 0) instanceof Long, Long.own, "MAX_VALUE" in Long, Long.isLong(one)];
    };`;
  expect(answer(bundled(source)).answered).toEqual(["1", true, true, 1, true, true]);
});

test("an encoding besides UTF-8 is read when somebody decodes it", () => {
  const source = (text: string): string => `
    import iconv from ${imported("iconv-lite")};
    export const handler = async () => ${text};`;
  const bundle = bundled(source(`iconv.decode(Buffer.from([0x93, 0xfa, 0x96, 0x7b]), "shift_jis")`));
  expect(answer(bundle)).toEqual({ answered: "日本", read: ["deferred/iconv-lite.cjs"] });
  expect(answer(bundled(source(`typeof iconv.decode`))).read).toEqual([]);
});

test("two versions of a package are two files", () => {
  const old = `exports.wordy = { type: "_old" };`;
  const bundle = bundled(
    `import iconv from ${imported("iconv-lite")};
     import older from "iconv-lite";
     export const handler = async () => [older.all().wordy.type, iconv.encodingExists("cp950")];`,
    {
      "node_modules/iconv-lite/package.json": `{ "main": "./lib/index.js" }`,
      "node_modules/iconv-lite/lib/index.js": `exports.all = () => require("../encodings");`,
      "node_modules/iconv-lite/encodings/index.js": old,
    },
  );
  expect(deferred(bundle)).toEqual(["deferred/iconv-lite-2.cjs", "deferred/iconv-lite.cjs"]);
  expect(answer(bundle).answered).toEqual(["_old", true]);
});

test("an ES module that imports one has it in its own code", () => {
  const source = `
    import errors from ${imported("./lib/constants/errors.js")};
    export const handler = async () => errors.ER_ACCESS_DENIED_ERROR;`;
  const bundle = bundled(source);
  expect(Buffer.from(bundle.files.get("index.mjs") ?? "").toString()).not.toMatch(/from"[./]/);
  expect(answer(bundle).answered).toBe(1045);
});

test("mysql2's import loads no module of Node.js that only a log-in needs, and another package's does", () => {
  const loaded = (name: string): unknown =>
    answer(
      bundled(
        `import ${imported("./lib/auth_41.js")};
         import other from "other";
         export const handler = async () => [process.moduleLoadList.includes("NativeModule crypto"), other.hash];`,
        { "node_modules/other/index.js": `exports.hash = typeof { ...require("${name}") }.createHash;` },
      ),
    ).answered;
  expect(loaded("events")).toEqual([false, "undefined"]);
  expect(loaded("crypto")).toEqual([true, "function"]);
});

test("a module of Node.js that is loaded later can be listed, copied, changed and patched", () => {
  const code = `
    const crypto = require("crypto");
    const copy = { ...crypto, ...Object.fromEntries(Object.entries(require("node:tls"))) };
    const { createHash: original } = crypto;
    Object.defineProperty(crypto, "createHash", { configurable: true, value: (name) => original(name) });
    crypto.own = 1;
    module.exports = [typeof copy.createHash, typeof copy.connect, require("crypto") === crypto, typeof crypto,
      crypto.createHash("md5").update("").digest("hex").length, crypto.own, delete crypto.own, "own" in crypto,
      typeof crypto.webcrypto.subtle, Object.keys(crypto).length === Object.keys(process.getBuiltinModule("crypto")).length];`;
  const bundle = bundled(`import other from "other"; export const handler = async () => other;`, {
    "node_modules/other/index.js": code,
  });
  const expected = ["function", "function", true, "object", 32, 1, true, false, "object", true];
  expect(answer(bundle).answered).toEqual(expected);
});

test("mysql2 hashes a password as before", () => {
  const source = `
    import auth from ${imported("./lib/auth_41.js")};
    export const handler = async () => auth.calculateToken("secret", Buffer.alloc(8), Buffer.alloc(12)).toString("hex");`;
  const token = jest.requireActual<{ calculateToken(...args: unknown[]): Buffer }>(path.join(MYSQL2, "lib/auth_41.js"));
  const expected = token.calculateToken("secret", Buffer.alloc(8), Buffer.alloc(12)).toString("hex");
  expect(answer(bundled(source)).answered).toBe(expected);
});

test("code without such a module is one file", () => {
  expect(deferred(bundled(`export const handler = async () => 1;`))).toEqual([]);
});

test("the source map leads to the line and column of the source", () => {
  const bundle = bundled(`${REFUSAL}\nexport const where = () => new Error("here");`, {}, true);
  const directory = written(bundle);
  const script = `const { where } = await import(${JSON.stringify(path.join(directory, "index.mjs"))}); console.log(where().stack)`;
  const options = ["--enable-source-maps", "--input-type=module", "-e", script];
  expect(execFileSync(process.execPath, options, { encoding: "utf8" })).toMatch(/entry\.ts:9:28/);
});
