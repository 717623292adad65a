import { cpSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { codeBundleProblems } from "./code-bundle";
import { project, run, stage } from "../__tests__/code-project";
import { temporaryDirectory } from "../__tests__/synthesis";

const ENTRY = "function/index.ts";

/** A function with a dependency in CommonJS that calls require() for a module of Node, as mysql2 does. */
const FILES = {
  [ENTRY]: `import { greet } from "legacy";
    import type { Name } from "./name";
    const name: Name = "world";
    export class GreetingError extends Error {}
    export const handler = async () => greet(name);`,
  "function/name.ts": `export type Name = string;`,
  "node_modules/legacy/package.json": `{ "name": "legacy", "main": "index.js" }`,
  "node_modules/legacy/index.js": `const { EventEmitter } = require("events");
    exports.greet = (name) => "hello " + name + " " + new EventEmitter().listenerCount("x");`,
  "node_modules/legacy/index.d.ts": `export function greet(name: string): string;`,
};

const staged = (files = FILES) => stage(project(files), {}, ENTRY);

test("the staged directory holds one ES module that runs", () => {
  expect(staged().names).toEqual(["index.mjs"]);
  expect(run(staged())).toBe("hello world 0");
});

test("the source map names its sources relative to the entry", () => {
  const { directory } = stage(project(FILES), { sourceMap: true }, ENTRY);
  const { sources } = JSON.parse(readFileSync(path.join(directory, "index.mjs.map"), "utf8")) as { sources: string[] };
  expect(sources).toEqual(["../node_modules/legacy/index.js", "index.ts"]);
});

test("the same input gives the same bytes and path, whatever the checkout path, the umask and the times", () => {
  const here = project(FILES);
  const there = path.join(temporaryDirectory(), "a/deeper/checkout");
  cpSync(here, there, { recursive: true });
  utimesSync(path.join(there, ENTRY), 1, 1);
  const first = stage(here, {}, ENTRY);
  const umask = process.umask(0o077);
  const second = stage(there, {}, ENTRY);
  process.umask(umask);
  expect([second.names, second.code, second.sourceDir]).toEqual([first.names, first.code, first.sourceDir]);
});

test("another input gives another path if and only if its code differs", () => {
  const sourceDir = (more: string): string => staged({ ...FILES, [ENTRY]: FILES[ENTRY] + more }).sourceDir;
  expect(sourceDir("\n// A comment leaves no trace in the code.")).toBe(sourceDir(""));
  expect(sourceDir("\nexport const more = 1;")).not.toBe(sourceDir(""));
});

test("a second synthesis leaves nothing of the first in the staged directory", () => {
  const [root, outdir] = [project(FILES), temporaryDirectory()];
  const first = stage(root, {}, ENTRY, outdir);
  writeFileSync(path.join(root, ENTRY), `export const handler = async () => 1;`);
  const second = stage(root, {}, ENTRY, outdir);
  expect(second.directory).not.toBe(first.directory);
  expect(readdirSync(path.dirname(second.directory))).toEqual([path.basename(second.directory)]);
  expect(second.names).toEqual(["index.mjs"]);
});

test.each(["function/missing.ts", "function", "package.json"])("%s is refused as an entry", (entry) => {
  expect(codeBundleProblems({ entry })).toEqual([
    `code.entry "${entry}" is not a TypeScript file. Paths are relative to ${process.cwd()}`,
  ]);
});

test("an entry without a handler is refused", () => {
  const root = project({ [ENTRY]: `const handler = async () => undefined; export default handler;` });
  expect(() => stage(root, {}, ENTRY)).toThrow(
    `code.entry "${path.join(root, ENTRY)}" does not export "handler", which Lambda calls`,
  );
});

test("a module that has types but no code is refused with file and line", () => {
  const root = project(FILES);
  rmSync(path.join(root, "node_modules/legacy/index.js"));
  expect(() => stage(root, {}, ENTRY)).toThrow(
    /^code.entry ".*" does not compile: .*function\/index.ts:1 Could not resolve "legacy"$/,
  );
});
