import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stampFileOf, typeErrors } from "./type-check";
import { temporaryDirectory } from "../__tests__/synthesis";

const ROOT = path.resolve(__dirname, "../..");

type Files = Readonly<Record<string, string>>;

/** The native compiler, and the one that `cdktf init` installs. */
const COMPILERS = ["typescript7", "typescript"] as const;

const WRONG = `export const one: number = "1";`;
const TS2322 = "TS2322 Type 'string' is not assignable to type 'number'.";

function write(root: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), content);
  }
}

/** An app with the types of Node.js and a compiler of its own. */
function project(files: Files, compiler: (typeof COMPILERS)[number] = "typescript7"): string {
  const root = temporaryDirectory();
  write(root, { "cdktf.json": "{}", "package.json": "{}", "node_modules/@types/README": "", ...files });
  for (const name of [compiler, "@types/node", "undici-types"]) {
    symlinkSync(path.join(ROOT, "node_modules", name), path.join(root, "node_modules", name));
  }
  return root;
}

/** As seen from the directory of cdktf.json, unless another is named. */
function errorsIn(root: string, entry = "function/index.ts", from = ""): readonly string[] {
  process.chdir(path.join(root, from));
  return typeErrors(path.join(root, entry));
}

afterEach(() => {
  process.chdir(ROOT);
});

const tsconfig = (compilerOptions: object, more: object = {}): string => JSON.stringify({ compilerOptions, ...more });
const HANDLER = `export const handler = async () => 1;`;
/** Code of a function, which may await at its top level and ask where it is. */
const FUNCTION = `import data from "./data.json"; import * as path from "path"; import { a } from "./a";
  await Promise.resolve(import.meta.url); export const handler = async () => [data.x, a, path.sep, process.pid];`;
const GOOD = { "function/index.ts": FUNCTION, "function/a.ts": `export const a = 1;`, "function/data.json": `{"x":1}` };

describe.each(COMPILERS)("with %s", (compiler) => {
  const composite = { composite: true, rootDir: "src", outDir: "dist", tsBuildInfoFile: "dist/x.tsbuildinfo" };
  // The compiler in JavaScript takes seconds for each.
  const native = [
    composite,
    { module: "NodeNext" },
    { module: "ESNext", moduleResolution: "bundler" },
    { module: "preserve" },
    { incremental: true, declaration: true, declarationMap: true, declarationDir: "types" },
    { noEmit: false, emitDeclarationOnly: true, declaration: true, isolatedDeclarations: true },
  ];

  const inJavaScript = [{ ...composite, module: "CommonJS", moduleResolution: "node" }];

  test.each(compiler === "typescript" ? inJavaScript : native)("%j does not matter to a function", (options) => {
    const config = { strict: true, skipLibCheck: true, types: ["node"], ...options };
    const root = project({ ...GOOD, "tsconfig.json": tsconfig(config, { include: ["src"], files: [] }) }, compiler);
    expect(errorsIn(root)).toEqual([]);
    write(root, { "function/a.ts": `export const a = 1; ${WRONG}` });
    expect(errorsIn(root)).toEqual([`function/a.ts:1:34 ${TS2322}`]);
    expect(readdirSync(root).sort()).toEqual([
      "cdktf.json",
      "function",
      "node_modules",
      "package.json",
      "tsconfig.json",
    ]);
  });
});

test("the options of cdktf init do not matter either, with the compiler that it installs", () => {
  const stock = `{
    "compilerOptions": { "alwaysStrict": true, "declaration": true, "experimentalDecorators": true,
      "inlineSourceMap": true, "inlineSources": true, "lib": ["es2018"], "module": "CommonJS", "noEmitOnError": true,
      "noImplicitAny": true, "noUnusedLocals": true, "resolveJsonModule": true, "strict": true, "stripInternal": true,
      "target": "ES2018", "incremental": true, "skipLibCheck": true },
    "include": ["**/*.ts"], "exclude": ["node_modules", "cdktf.out"] }`;
  expect(errorsIn(project({ ...GOOD, "tsconfig.json": stock }, "typescript"))).toEqual([]);
});

test("options come through extends, from files and packages, with paths and comments", () => {
  const root = project({
    "function/index.ts": `import { b } from "@lib/b"; import { c } from "#c"; export const handler = async (e) => [e, b, c];`,
    "function/tsconfig.json": `{ // near
        "extends": ["../base", "@me/tsconfig", "@me/tsconfig/paths.json"], }`,
    "base.json": tsconfig({ strict: true, types: [] }),
    "node_modules/@me/tsconfig/package.json": `{"name":"@me/tsconfig"}`,
    "node_modules/@me/tsconfig/tsconfig.json": tsconfig({ strict: false }),
    "node_modules/@me/tsconfig/paths.json": tsconfig({
      paths: { "@lib/*": ["../../../lib/*"], "#c": ["${configDir}/c.ts"] },
    }),
    "lib/b.ts": `export const b = 1;`,
    "function/c.ts": `export const c = 1;`,
  });
  expect(errorsIn(root)).toEqual([]);
  write(root, { "node_modules/@me/tsconfig/tsconfig.json": tsconfig({ noImplicitAny: true }) });
  expect(errorsIn(root)).toEqual([expect.stringContaining("TS7006")]);
});

test("the nearest tsconfig.json decides, not that of the project", () => {
  const loose = `export const handler = async (event) => event;`;
  const strict = tsconfig({ strict: true, types: [] });
  const root = project({ "function/index.ts": loose, "tsconfig.json": strict });
  expect(errorsIn(root)).toEqual([expect.stringContaining("TS7006")]);
  write(root, { "function/tsconfig.json": tsconfig({ strict: false, types: [] }) });
  expect(errorsIn(root)).toEqual([]);
  rmSync(path.join(root, "function/tsconfig.json"));
  expect(errorsIn(root)).toHaveLength(1);
});

test("types are found in all directories above, with those that the options name", () => {
  const types = { "node_modules/@types/near/index.d.ts": "declare const far: number; declare const hidden: number;" };
  const root = project({
    "packages/app/src/index.ts": `export const handler = async () => [process.pid, far, near, client];`,
    "packages/app/node_modules/@types/other/index.d.ts": "declare const near: number;",
    "node_modules/vite/client.d.ts": "declare const client: number;",
    "node_modules/vite/package.json": "{}",
    "packages/app/tsconfig.json": tsconfig({ types: ["node", "other", "near", "vite/client"] }),
    ...types,
  });
  expect(errorsIn(root, "packages/app/src/index.ts")).toEqual([]);
  write(root, { "packages/app/tsconfig.json": tsconfig({ types: ["node", "near", "vite/client"] }) });
  expect(errorsIn(root, "packages/app/src/index.ts")).toEqual([expect.stringContaining("Cannot find name 'near'")]);
});

describe("a stamp", () => {
  const files = {
    "function/index.ts": `import { v } from "dep"; import { w } from "./w"; export const handler = async () => v + w;`,
    "function/w.ts": `export const w: number = 1;`,
    "node_modules/dep/package.json": `{"name":"dep","types":"old.d.ts","main":"i.js"}`,
    "node_modules/dep/old.d.ts": `export declare const v: number;`,
    "node_modules/dep/new.d.ts": `export declare const v: { readonly a: 1 };`,
    "tsconfig.json": tsconfig({ strict: true, noUnusedLocals: false }, { extends: "./base.json" }),
    "base.json": tsconfig({ types: [] }),
  };
  const changes: Readonly<Record<string, Files>> = {
    "a declaration of a package": { "node_modules/dep/old.d.ts": `export declare const v: { readonly a: 1 };` },
    "which declarations a package has": { "node_modules/dep/package.json": `{"name":"dep","types":"new.d.ts"}` },
    "a file that is imported": { "function/w.ts": `export const w: unknown = 1;` },
    "the options": { "tsconfig.json": tsconfig({ strict: true, types: ["none"] }) },
    "options that are inherited": { "base.json": tsconfig({ noUnusedLocals: true, types: ["none"] }) },
    "a file that comes first": { "function/w.tsx": "", "function/w/index.ts": "", "function/w.ts": "export {}" },
    "a nearer package": {
      "function/node_modules/dep/package.json": `{"name":"dep","types":"x.d.ts"}`,
      "function/node_modules/dep/x.d.ts": `export {};`,
    },
  };

  test.each(Object.keys(changes))("does not hide an error by a change of %s", (change) => {
    const root = project(files);
    expect(errorsIn(root)).toEqual([]);
    write(root, changes[change] ?? {});
    expect(errorsIn(root)).not.toEqual([]);
    write(root, files);
    for (const added of ["function/node_modules", "function/w.tsx", "function/w"]) {
      rmSync(path.join(root, added), { recursive: true, force: true });
    }
    expect(errorsIn(root)).toEqual([]);
  });

  test("saves the second check", () => {
    const root = project(files);
    expect(errorsIn(root)).toEqual([]);
    // Without a compiler that works, only the stamp can say that all is well.
    rmSync(path.join(root, "node_modules/typescript7"));
    write(root, {
      "node_modules/typescript7/package.json": `{"version":"7.0.2"}`,
      "node_modules/typescript7/bin/tsc": "x(",
    });
    expect(errorsIn(root)).toEqual([]);
    write(root, { "function/w.ts": "export const w = 2;" });
    expect(errorsIn(root)).toEqual([expect.stringContaining("the TypeScript compiler failed")]);
  });

  test("of another version of the compiler does not count", () => {
    const root = project(files);
    expect(errorsIn(root)).toEqual([]);
    rmSync(path.join(root, "node_modules/typescript7"));
    write(root, {
      "node_modules/typescript7/package.json": `{"version":"8"}`,
      "node_modules/typescript7/bin/tsc": "x(",
    });
    expect(errorsIn(root)).toHaveLength(1);
  });

  test("that cannot be written is no error", () => {
    const root = project(files);
    // A file where the cache's directory would be stops root as well.
    write(root, { "node_modules/.cache": "" });
    expect(errorsIn(root)).toEqual([]);
    chmodSync(path.join(root, "node_modules"), 0o555);
    expect(errorsIn(root)).toEqual([]);
    chmodSync(path.join(root, "node_modules"), 0o755);
  });

  test("is kept in the nearest node_modules, and nowhere if there is none", () => {
    const root = project({ "packages/app/index.ts": HANDLER });
    process.chdir(root);
    expect(stampFileOf(path.join(root, "packages/app/index.ts"))).toContain(path.join(root, "node_modules/.cache"));
    const outside = temporaryDirectory();
    write(outside, { "index.ts": HANDLER });
    process.chdir(outside);
    expect(stampFileOf(path.join(outside, "index.ts"))).toBeUndefined();
    expect(typeErrors(path.join(outside, "index.ts"))).toEqual([expect.stringContaining("no TypeScript compiler")]);
    expect(existsSync(path.join(outside, "node_modules"))).toBe(false);
  });
});

test("paths in messages are relative to cdktf.json, wherever the program was started", () => {
  const root = project({ "function/index.ts": WRONG, "sub/dir/x": "" });
  expect(errorsIn(root, "function/index.ts", "sub/dir")).toEqual([`function/index.ts:1:14 ${TS2322}`]);
});

test.each([
  ["is not JSON", `{ "compilerOptions": `, /tsconfig\.json is not JSON/],
  ["extends what is not there", `{ "extends": "./nowhere" }`, /extends "\.\/nowhere", which does not exist/],
  ["extends itself", `{ "extends": "./tsconfig.json" }`, /extends itself/],
])("a tsconfig.json that %s is an error", (_, content, expected) => {
  const root = project({ "function/index.ts": HANDLER, "tsconfig.json": content });
  expect(errorsIn(root)).toEqual([expect.stringMatching(expected)]);
});
