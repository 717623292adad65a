import { App, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import * as esbuild from "esbuild";
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { archiveDirectory } from "./archive-directory";
import { codeBundleFiles } from "./code-bundle";
import { project } from "../__tests__/code-project";
import { temporaryDirectory } from "../__tests__/synthesis";

// Its functions cannot be replaced otherwise.
jest.mock("esbuild", () => ({ ...jest.requireActual<typeof esbuild>("esbuild"), __esModule: true }));

interface Synthesis {
  readonly builds: number;
  /** Of all that the synthesis has written. */
  readonly bytes: number;
  readonly archives: number;
}

/** A synthesis of functions with these entries. */
function synthesize(entries: readonly string[]): Synthesis {
  const build = jest.spyOn(esbuild, "buildSync");
  const outdir = temporaryDirectory();
  const app = new App({ outdir, skipValidation: true });
  const stack = new TerraformStack(app, "test");
  for (const [index, entry] of entries.entries()) {
    const code = new Construct(stack, `code${index}`);
    const settings = { entry, runtime: "nodejs24.x", architecture: "arm64", files: {} } as const;
    archiveDirectory(code, codeBundleFiles(code, settings));
  }
  app.synth();
  const files = readdirSync(outdir, { recursive: true, encoding: "utf8" }).map((name) => path.join(outdir, name));
  const bytes = files.map((file) => statSync(file)).reduce((sum, each) => sum + (each.isFile() ? each.size : 0), 0);
  const builds = build.mock.calls.length;
  build.mockRestore();
  return { builds, bytes, archives: files.filter((file) => file.endsWith("index.mjs")).length };
}

test("many functions cost little more than one: one bundle an entry, one copy a function", () => {
  const source = `import mysql from ${JSON.stringify(require.resolve("mysql2/promise"))};`;
  const names = Array.from({ length: 100 }, (_, index) => `f${index}.ts`);
  const handler = (name: string): string => `${source} export const handler = async () => [mysql.raw, "${name}"];`;
  const root = project(Object.fromEntries(names.map((name) => [name, handler(name)])));
  const entries = names.map((name) => path.join(root, name));
  const [entry = ""] = entries;
  const one = synthesize([entry]);
  const hundred = synthesize(entries);
  const same = synthesize(Array.from({ length: 50 }, () => entry));
  expect(one.builds).toBe(4);
  expect(same.builds).toBe(1);
  // The modules with files of their own are compiled once.
  expect(hundred.builds).toBe(100);
  expect([one, hundred, same].map(({ archives }) => archives)).toEqual([1, 100, 50]);
  expect(hundred.bytes / 100).toBeLessThan(1_000_000);
});
