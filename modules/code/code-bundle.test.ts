import { App } from "cdktf";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { CodeBundle } from "./code-bundle";
import { newStack, temporaryDirectory } from "../__tests__/synthesis";

/** A function with a dependency in CommonJS that calls require() for a module of Node, as mysql2 does. */
const PROJECT = {
  "function/index.ts": [
    `import { greet } from "legacy";`,
    `import type { Name } from "./name";`,
    `const name: Name = "world";`,
    `export class GreetingError extends Error {}`,
    `export const handler = () => Promise.resolve(greet(name));`,
  ],
  "function/name.ts": [`export type Name = string;`],
  "node_modules/legacy/package.json": [`{ "name": "legacy", "main": "index.js" }`],
  "node_modules/legacy/index.js": [
    `const { EventEmitter } = require("events");`,
    `exports.greet = (name) => "hello " + name + " " + new EventEmitter().listenerCount("x");`,
  ],
  "node_modules/legacy/index.d.ts": [`export function greet(name: string): string;`],
};

function writeProject(directory: string, files: Record<string, readonly string[]> = PROJECT): string {
  for (const [name, lines] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    writeFileSync(path.join(directory, name), lines.join("\n"));
  }
  return path.join(directory, "function/index.ts");
}

function stage(
  entry: string,
  outdir = temporaryDirectory(),
  sourceMap = false,
): { sourceDir: string; directory: string } {
  const stack = newStack(outdir);
  const { sourceDir } = new CodeBundle(stack, "code", { entry, runtime: "nodejs24.x", sourceMap });
  App.of(stack).synth();
  return {
    sourceDir,
    directory: path.join(App.of(stack).outdir, "stacks/test", sourceDir.replace("${path.module}/", "")),
  };
}

function read(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(path.join(directory, name), "utf8")]),
  );
}

test("the staged directory holds one ES module that runs", () => {
  const { directory } = stage(writeProject(temporaryDirectory()));
  expect(readdirSync(directory).sort()).toEqual(["index.mjs"]);

  const script = `import { handler, GreetingError } from ${JSON.stringify(path.join(directory, "index.mjs"))};
    console.log(await handler(), GreetingError.name)`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(output).toBe("hello world 0 GreetingError\n");
});

test("the source map names its sources relative to the entry", () => {
  const { directory } = stage(writeProject(temporaryDirectory()), temporaryDirectory(), true);
  const { sources } = JSON.parse(read(directory)["index.mjs.map"] ?? "") as { sources: string[] };
  expect(sources).toEqual(["../node_modules/legacy/index.js", "index.ts"]);
});

test("the same input gives the same bytes and path, whatever the checkout path, the umask and the times", () => {
  const here = writeProject(temporaryDirectory());
  const umask = process.umask(0o077);
  try {
    const deep = path.join(temporaryDirectory(), "a/deeper/checkout");
    cpSync(path.dirname(path.dirname(here)), deep, { recursive: true });
    const there = path.join(deep, "function/index.ts");
    utimesSync(there, 1, 1);

    const first = stage(here);
    const second = stage(there);
    expect(read(second.directory)).toEqual(read(first.directory));
    expect(second.sourceDir).toBe(first.sourceDir);
  } finally {
    process.umask(umask);
  }
});

test("another input gives another path if and only if its code differs", () => {
  const index = PROJECT["function/index.ts"];
  const comment = { ...PROJECT, "function/index.ts": ["// A comment leaves no trace in the code.", ...index] };
  const code = { ...PROJECT, "function/index.ts": [...index, `export const more = 1;`] };
  const { sourceDir } = stage(writeProject(temporaryDirectory()));
  expect(stage(writeProject(temporaryDirectory(), comment)).sourceDir).toBe(sourceDir);
  expect(stage(writeProject(temporaryDirectory(), code)).sourceDir).not.toBe(sourceDir);
});

test("a second synthesis leaves nothing of the first in the staged directory", () => {
  const outdir = temporaryDirectory();
  const entry = writeProject(temporaryDirectory());
  const first = stage(entry, outdir).directory;
  writeFileSync(entry, `export const handler = () => Promise.resolve(1);`);
  const second = stage(entry, outdir).directory;
  expect(readdirSync(path.dirname(second))).toEqual([path.basename(second)]);
  expect(second).not.toBe(first);
  expect(readdirSync(second).sort()).toEqual(["index.mjs"]);
});

test.each(["function/missing.ts", "function", "package.json"])("%s is refused as an entry", (entry) => {
  expect(CodeBundle.problems({ entry })).toEqual([
    `code.entry "${entry}" is not a TypeScript file. Paths are relative to ${process.cwd()}`,
  ]);
});

test("an entry without a handler is refused", () => {
  const entry = writeProject(temporaryDirectory(), {
    "function/index.ts": [`const handler = () => Promise.resolve();`, `export default handler;`],
  });
  expect(() => stage(entry)).toThrow(`code.entry "${entry}" does not export "handler", which Lambda calls`);
});

test("a handler that another module exports is found", () => {
  const entry = writeProject(temporaryDirectory(), {
    "function/index.ts": [`export * from "./handlers";`],
    "function/handlers.ts": [`export const handler = () => Promise.resolve();`],
  });
  expect(() => stage(entry)).not.toThrow();
});

test("a module that has types but no code is refused with file and line", () => {
  const directory = temporaryDirectory();
  const entry = writeProject(directory);
  rmSync(path.join(directory, "node_modules/legacy/index.js"));
  expect(() => stage(entry)).toThrow(
    /^code.entry ".*" does not compile: .*function\/index.ts:1 Could not resolve "legacy"$/,
  );
});
