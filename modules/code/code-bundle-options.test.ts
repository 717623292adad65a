import { mainSetting } from "../../__tests__/main-settings";
import { chmodSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { addon, HANDLER, IMPORT, installed, project, run, stage, type Files } from "../__tests__/code-project";
import { only, problemsOf, synthesize } from "../__tests__/synthesis";

describe("packages outside the bundle", () => {
  const source = `import a from "a"; import b from "@b/c/d"; import { S3 } from "@aws-sdk/client-s3"; import s from "@smithy/x";
    export const handler = async () => [a, b, S3, s];`;

  test("are those in `external`, by name or pattern, and those of the runtime", () => {
    const { code } = stage(project({ "index.ts": source }), { external: ["a", "@b/*"] });
    for (const name of ["a", "@b/c/d", "@aws-sdk/client-s3", "@smithy/x"]) expect(code).toContain(`from"${name}"`);
  });

  test('do not include the AWS SDK with awsSdk "bundle"', () => {
    const sdk = { "index.js": "export const S3 = 'the SDK'; export default 1" };
    const packages = { ...installed("@aws-sdk/client-s3", sdk), ...installed("@smithy/x", sdk) };
    const { code } = stage(project({ "index.ts": source, ...packages }), {
      external: ["a", "@b/*"],
      awsSdk: "bundle",
    });
    expect(code).toContain("the SDK");
    expect(code).not.toContain("@smithy");
  });

  test("must be names", () => {
    const settings = { external: ["./local", "a/**"], install: ["../x", ""] };
    expect(problemsOf(() => stage(project({ "index.ts": HANDLER }), settings))).toEqual([
      expect.stringContaining(`code.external "./local" is not the name of a package`),
      expect.stringContaining(`code.external "a/**" is not the name of a package`),
      expect.stringContaining(`code.install "../x" is not the name of a package`),
      expect.stringContaining(`code.install "" is not the name of a package`),
    ]);
  });
});

test.each([
  ["copied in a directory", "bin/tool", (root: string) => ({ copy: [{ from: path.join(root, "bin") }] })],
  ["copied", "bin/tool", (root: string) => ({ copy: [{ from: path.join(root, "bin/tool"), to: "bin/tool" }] })],
  ["generated", "node_modules/a/bin/tool", () => ({ install: ["a"] })],
])("a program is executable in the archive, whatever the umask, if it is: %s", (_, program, options) => {
  const bin = { "bin/tool": "#!/bin/sh", "bin/data": "x" };
  const root = project({ "index.ts": HANDLER, ...bin, ...installed("a", bin) });
  chmodSync(path.join(root, program), 0o700);
  const code = { entry: path.join(root, "index.ts"), ...options(root) };
  const umask = process.umask(0o077);
  const { directory, names } = stage(root, code);
  process.umask(umask);
  const modes = names.map((name) => [name, statSync(path.join(directory, name)).mode & 0o777]);
  expect(modes).toEqual(names.map((name) => [name, name === program ? 0o755 : 0o644]));
  expect(names).toContain(program);
  // The archive takes the modes of the files only if it is not told another.
  expect(only(synthesize({ code }).data, "archive_file")).not.toHaveProperty("output_file_mode");
});

describe("copied files", () => {
  const files = { "index.ts": HANDLER, "data/rates.json": "{}", "data/more/x.txt": "x" };

  test("are put at their paths, directories with all their files", () => {
    const root = project(files);
    const copy = [
      { from: path.join(root, "data") },
      { from: path.join(root, "data/rates.json"), to: "config/r.json" },
      { from: path.join(root, "data/more"), to: "." },
    ];
    expect(stage(root, { copy }).names).toEqual([
      "config/r.json",
      "data/more/x.txt",
      "data/rates.json",
      "index.mjs",
      "x.txt",
    ]);
  });

  test.each([
    [{ from: "nowhere.json" }, 'code.copy.from "nowhere.json" is neither a file nor a directory'],
    [{ from: "package.json", to: "../x" }, 'code.copy.to "../x" is not a path inside the archive'],
    [{ from: "package.json", to: "a/../../x" }, 'code.copy.to "a/../../x" is not a path inside the archive'],
    [{ from: "package.json", to: "/var/x" }, 'code.copy.to "/var/x" is not a path inside the archive'],
    [{ from: "package.json", to: "..\\x" }, String.raw`code.copy.to "..\\x" is not a path inside the archive`],
    [{ from: "package.json", to: "." }, 'code.copy.to "." names a directory'],
    [{ from: "package.json", to: "a/" }, 'code.copy.to "a/" names a directory'],
    [{ from: "package.json", to: "index.mjs" }, 'code.copy.to "index.mjs" is already in the archive'],
    [{ from: "/", to: "all" }, 'code.copy.from "/" contains the output of the synthesis'],
  ])("%j is refused", (copy, expected) => {
    expect(problemsOf(() => stage(project(files), { copy: [copy] }))).toEqual([expect.stringContaining(expected)]);
  });

  test("at the same place are refused", () => {
    const copy = [
      { from: "package.json", to: "a" },
      { from: "tsconfig.json", to: "./a" },
    ];
    expect(problemsOf(() => stage(project(files), { copy }))).toEqual([
      expect.stringContaining(`code.copy.to "./a" puts two files at a`),
    ]);
  });
});

describe("loaders", () => {
  const files = {
    "index.ts": `import sql from "./q.sql"; import pic from "./p.png"; export const handler = async () => [sql, pic];`,
    "q.sql": "SELECT 1",
    "p.png": "P",
  };

  test("decide how a file is imported, and deploy it", () => {
    const staged = stage(project(files), { loader: { ".sql": "text", ".png": "file" } });
    expect(run(staged)).toEqual(["SELECT 1", expect.stringMatching(/^\.\/p-\w+\.png$/)]);
    expect(staged.names).toContainEqual(expect.stringMatching(/^p-\w+\.png$/));
  });

  test("are named in the error for an extension without one", () => {
    expect(problemsOf(() => stage(project(files), { loader: { ".png": "file" } }))).toEqual([
      expect.stringContaining(`No loader is configured for ".sql" files: q.sql. Name one in code.loader`),
    ]);
  });

  test("must be esbuild's, for a file extension", () => {
    const loader = { sql: "text", ".x": "magic" as "text" } as const;
    expect(problemsOf(() => stage(project(files), { loader }))).toEqual([
      expect.stringContaining(`code.loader "sql" is not a file extension`),
      expect.stringContaining(`code.loader "magic" is not one of base64, binary`),
    ]);
  });
});

describe("the source map", () => {
  const files = { "index.ts": `interface Long { a: 1 }\n\nexport const handler = async () => new Error("x").stack;` };

  test("is not deployed by default", () => {
    const { names, code } = stage(project(files));
    expect(names).toEqual(["index.mjs"]);
    expect(code).not.toContain("sourceMappingURL");
  });

  test("is deployed on request, and stack traces name the sources", () => {
    const staged = stage(project(files), { sourceMap: true });
    expect(staged.names).toEqual(["index.mjs", "index.mjs.map"]);
    expect(run(staged, ["--enable-source-maps"])).toMatch(/index\.ts:3:/);
  });

  test("is read at run time, together with other options of Node.js", () => {
    const root = project(files);
    const code = { entry: path.join(root, "index.ts"), sourceMap: true };
    const variables = (environment: Readonly<Record<string, string>>): unknown =>
      only(synthesize({ code, environment }).resource, "aws_lambda_function").environment;
    const options = (value: string): unknown => ({
      variables: expect.objectContaining({ NODE_OPTIONS: value }) as unknown,
    });
    expect(variables({})).toEqual(options("--enable-source-maps"));
    expect(variables({ NODE_OPTIONS: "--no-warnings" })).toEqual(options("--no-warnings --enable-source-maps"));
  });
});

describe("code starts", () => {
  test.each([
    ["asks for __dirname and __filename", `module.exports = [__dirname, __filename].map((each) => typeof each);`],
    ["declares them", `const __dirname = "string", __filename = "string"; module.exports = [__dirname, __filename];`],
    ["declares require", `module.exports = ((require) => ["string", require("string")])((x) => x);`],
    [
      "requires a module of Node.js by a variable",
      `const n = "path"; module.exports = [require(n).sep, "/"].map((x) => typeof x);`,
    ],
  ])("if a package %s", (_, code) => {
    const root = project({ ...IMPORT, ...installed("a", { "index.js": code }) });
    expect(run(stage(root), ["--trace-uncaught"])).toEqual(["string", "string"]);
  });

  test("if the entry declares what the bundle declares", () => {
    const root = project({
      "index.ts": `import { createRequire } from "node:module"; import { dirname } from "path"; import a from "a";
        const require = createRequire(import.meta.url); const __filename = "f"; const __dirname = dirname("/x/y");
        const $createRequire = 1, lazyModule = 2;
        await Promise.resolve();
        export const handler = async () => [require("os").EOL, __filename, __dirname, $createRequire, lazyModule, a];`,
      ...installed("a", { "index.js": `module.exports = require("os").EOL;` }),
    });
    expect(run(stage(root))).toEqual(["\n", "f", "/x", 1, 2, "\n"]);
  });

  test.each(["a b/index.mts", "index.cts", "deep/er/index.tsx"])("from the entry %s", (entry) => {
    expect(run(stage(project({ [entry]: HANDLER }), {}, entry))).toBe(1);
  });

  test.each([`export { run as handler } from "./run";`, `export * from "./all";`])(
    "with a handler of another module, which imports JSON: %s",
    (source) => {
      const root = project({
        "index.ts": source,
        "all.ts": `export { run as handler } from "./run";`,
        "run.ts": `import data from "./data.json"; export const run = async () => data.x;`,
        "data.json": `{ "x": 5 }`,
      });
      expect(run(stage(root))).toBe(5);
    },
  );
});

describe("tsconfig.json", () => {
  const conditional = {
    ...IMPORT,
    ...installed("a", {
      "package.json": `{ "exports": { "source": "./source.js", "default": "./built.js" } }`,
      "source.js": `module.exports = "source";`,
      "built.js": `module.exports = "built";`,
    }),
  };

  test("decides by customConditions which files of packages are bundled, also through what it extends", () => {
    const tsconfig = {
      "tsconfig.json": `{ "extends": "./base.json" /* shared */, }`,
      "base.json": `{ "compilerOptions": { "customConditions": ["source"] } }`,
    };
    expect(run(stage(project({ ...conditional, ...tsconfig })))).toBe("source");
    expect(run(stage(project(conditional)))).toBe("built");
  });

  test("may set baseUrl and paths", () => {
    const root = project({
      "src/index.ts": `import { one } from "lib/one"; import two from "@/two"; export const handler = async () => one + two;`,
      "src/lib/one.ts": `export const one = 1;`,
      "src/other/two.ts": `export default 2;`,
      "tsconfig.json": `{ "compilerOptions": { "baseUrl": "./src", "paths": { "@/*": ["other/*"] } } }`,
    });
    expect(run(stage(root, {}, "src/index.ts"))).toBe(3);
  });

  test("that extends a missing file is named", () => {
    const root = project({ "index.ts": HANDLER, "tsconfig.json": `{ "extends": "./none.json" }` });
    expect(problemsOf(() => stage(root))).toEqual([expect.stringMatching(/code.entry .*tsconfig.json.*none\.json/)]);
  });
});

describe("the archive", () => {
  test("has texts of the construct with the same bytes, whatever line ends a checkout has", () => {
    const staged = (text: string) => stage(project({ "index.ts": HANDLER }), { files: { "x.pem": text } });
    expect(staged("a\r\nb\r\n").sourceDir).toBe(staged("a\nb\n").sourceDir);
  });

  test("beyond Lambda's limit is refused with its largest files", () => {
    const root = project({ "index.ts": HANDLER, "data/large": "", "data/small": "x" });
    truncateSync(path.join(root, "data/large"), 250 * 1024 * 1024);
    expect(problemsOf(() => stage(root, { copy: [{ from: path.join(root, "data") }] }))).toEqual([
      expect.stringMatching(/^code "251 MB" unzipped, and Lambda takes 250 MB\. .*data\/large \(250 MB\)/),
    ]);
  });
});

describe("JSX", () => {
  const runtime = (name: string): Files =>
    installed(name, { "jsx-runtime.js": `exports.jsx = (type) => "${name} " + type;` });
  const staged = (compilerOptions: object, source = "", packages = { ...runtime("react"), ...runtime("preact") }) => {
    const component = { "index.tsx": `${source} export const handler = async () => <a />;` };
    const root = project({ ...component, ...packages, "tsconfig.json": JSON.stringify({ compilerOptions }) });
    return stage(root, {}, "index.tsx");
  };

  test.each(["preserve", "react-native"])("that tsconfig.json leaves to another tool (%s) is compiled", (jsx) => {
    expect(run(staged({ jsx }))).toBe("react a");
    expect(run(staged({ jsx, jsxImportSource: "preact" }))).toBe("preact a");
    expect(run(staged({ jsx, jsxFactory: "h" }, `const h = (type: string) => "own " + type;`))).toBe("own a");
  });

  test("whose runtime is not installed is refused", () => {
    expect(problemsOf(() => staged({ jsx: "preserve" }, "", {}))).toEqual([
      expect.stringMatching(/does not compile: .*Could not resolve "react\/jsx-runtime"/),
    ]);
  });
});

describe("code that cannot be bundled", () => {
  test.each([
    ["an addon", { "index.js": `module.exports = require("./a.node");`, "a.node": addon("arm64") }],
    ["an addon that is built", { "index.js": `module.exports = 1;`, "binding.gyp": "{}" }],
    ["prebuilt addons", { "index.js": `module.exports = 1;`, "prebuilds/linux-arm64/a.node": addon("arm64") }],
    ["packages with addons", { "index.js": "", "package.json": `{"optionalDependencies":{"@a/linux-arm64":"1"}}` }],
  ])("%s is refused with what to do", (_, files: Files) => {
    expect(problemsOf(() => stage(project({ ...IMPORT, ...installed("a", files) })))).toEqual([
      expect.stringMatching(/native code.*cannot be bundled.*add "a" to code\.install/),
    ]);
  });

  test("copied native code must be for the function's platform", () => {
    const files = {
      "index.ts": `const native = require("./a.node"); ${HANDLER} export { native };`,
      "a.node": addon("arm64"),
    };
    const settings = { loader: { ".node": "copy" } } as const;
    expect(stage(project(files), settings).names).toContainEqual(expect.stringMatching(/^a-\w+\.node$/));
    expect(problemsOf(() => stage(project(files), { ...settings, architecture: "x86_64" }))).toEqual([
      expect.stringMatching(
        /a-\w+\.node" has native code for linux-arm64-glibc only, and the function runs on linux-x64/,
      ),
    ]);
  });

  test("decorators with emitDecoratorMetadata are refused with what to do", () => {
    const decorated = `const d = (_: unknown, __: unknown) => {}; export class A { @d b = 1 } export const handler = async () => new A().b;`;
    const metadata = (value: boolean): Files => ({
      "tsconfig.json": `{ "extends": "./base.json", /* see base */ "compilerOptions": { "experimentalDecorators": true, }, }`,
      "base.json": JSON.stringify({ compilerOptions: { emitDecoratorMetadata: value } }),
    });
    expect(problemsOf(() => stage(project({ ...metadata(true), "index.ts": decorated })))).toEqual([
      expect.stringMatching(/index.ts uses decorators with emitDecoratorMetadata.* code\.directory/),
    ]);
    expect(problemsOf(() => stage(project({ ...metadata(false), "index.ts": decorated })))).toEqual([]);
    const address = `${HANDLER} // mail@example.com`;
    expect(problemsOf(() => stage(project({ ...metadata(true), "index.ts": address })))).toEqual([]);
  });

  test.each([
    [
      "an import by a variable",
      `await import(String(process.argv[9] ?? "node:fs"));`,
      `This "import" expression will not be`,
    ],
    ["a worker", `new URL("./worker.js", import.meta.url);`, `reads "worker.js" next to itself`],
    ["WebAssembly", `((file: string) => file)("sub/x.wasm");`, `reads "sub/x.wasm" next to itself`],
    ["a file beside the code", `import.meta.dirname + "/data.txt";`, `reads "data.txt" next to itself`],
    ["a joined path", `((...x: string[]) => x)(__dirname, "sub", "data.txt");`, `reads "sub/data.txt" next to itself`],
    ["an optional import", `try { require("x"); } catch {}`, `imports "x", which is not installed and so not deployed`],
  ])("%s is a warning", (_, line, expected) => {
    const beside = { "worker.ts": "", "data.txt": "x", "sub/data.txt": "y", "sub/x.wasm": "" };
    const root = project({ "index.ts": `${line}\n${HANDLER}`, ...beside });
    expect(stage(root).warnings).toEqual([expect.stringContaining(expected)]);
  });

  test.each([
    ["index.mjs", `export default new URL("x.wasm", import.meta.url);`],
    ["index.js", `const { join } = require("path"); module.exports = join(__dirname, "x.wasm");`],
  ])("WebAssembly beside a package is a warning that says what to set: %s", (main, code) => {
    const files = { "package.json": JSON.stringify({ main }), [main]: code, "x.wasm": "" };
    const root = project({ ...IMPORT, ...installed("a", files) });
    expect(stage(root).warnings).toEqual([
      expect.stringMatching(
        /reads "x.wasm" next to itself.*code\.copy to \[\{ from: ".*node_modules\/a\/x\.wasm", to: "x\.wasm" \}\], or add "a" to code\.install/,
      ),
    ]);
    expect(stage(root, { copy: [{ from: path.join(root, "node_modules/a/x.wasm") }] }).warnings).toEqual([]);
  });

  test("is no warning if it is copied", () => {
    const root = project({ "index.ts": `new URL("./data.txt", import.meta.url);\n${HANDLER}`, "data.txt": "x" });
    expect(stage(root, { copy: [{ from: path.join(root, "data.txt") }] }).warnings).toEqual([]);
  });
});

test("the sample function leaves nothing out", () => {
  expect(stage(process.cwd(), {}, mainSetting("entry")).warnings).toEqual([]);
});
