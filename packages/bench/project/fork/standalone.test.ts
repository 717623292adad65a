/** A fork without packages/ and modules/: `npm run standalone` packs them, and the fork installs the tarballs. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Fork, succeeded } from "./fork";

jest.setTimeout(600_000);

const fork = new Fork();
const inFork = (path: string): string => join(fork.directory, path);

beforeAll(async () => {
  // Hard links instead of an installation, which would take a minute.
  for (const folder of ["node_modules", ...readdirSync("packages").map((name) => `packages/${name}/node_modules`)]) {
    if (existsSync(folder)) execFileSync("cp", ["-al", resolve(folder), inFork(folder)]);
  }
  succeeded(await fork.run("npm run standalone"));
});

function typeScript(folder = ""): readonly string[] {
  return readdirSync(inFork(folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : typeScript(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

test("it has neither packages/ nor modules/, and fewer than 400 lines of TypeScript", () => {
  expect(["packages", "modules", "docs", ".github"].filter((name) => existsSync(inFork(name)))).toEqual([]);
  const lines = typeScript().map((path) => readFileSync(inFork(path), "utf8").split("\n").length - 1);
  expect(lines.reduce((sum, each) => sum + each, 0)).toBeLessThan(400);
});

test("npm ci, npm run check, its tests and npx cdktf synth pass", async () => {
  succeeded(await fork.run("npm ci --prefer-offline --ignore-scripts --no-audit --no-fund"));
  succeeded(await fork.run("npm run check"));
  succeeded(await fork.run("npx jest"));
  succeeded(await fork.run("npx cdktf synth"));
});
