/** A fork that deletes lab/ and bench/, and nothing else. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Fork, succeeded } from "./fork";

jest.setTimeout(400_000);

const fork = new Fork();
fork.delete("lab", "bench");
afterAll(() => {
  fork.remove();
});

test("npm ci installs the template's packages, and none of the lab's", async () => {
  succeeded(await fork.run("npm ci --prefer-offline --no-audit --no-fund"));
  const installed = readdirSync(join(fork.directory, "node_modules"));
  expect(installed).toContain("cdktf");
  for (const name of ["lambda-shutdown-lab", "playwright-core", "serverless-mysql", "linkedom"]) {
    expect(installed).not.toContain(name);
  }
});

test("the set-up tells what the packages take on the disk", () => {
  const [, told = ""] = /template: ([\d_]+)/.exec(readFileSync("scripts/setup.mjs", "utf8")) ?? [];
  const taken = Number(
    execFileSync("du", ["-sm", join(fork.directory, "node_modules")], { encoding: "utf8" }).split("\t")[0],
  );
  const share = Number(told.replace("_", "")) / taken;
  expect({ told, taken, isRight: share > 0.8 && share < 1.2 }).toMatchObject({ isRight: true });
});

test("npm test passes, without a database, Terraform and AWS's client", async () => {
  const { output, seconds } = succeeded(await fork.run("npm test"));
  expect(output).toMatch(/^Tests: +(\d+ skipped, )?\d+ passed, \d+ total$/m);
  console.info(`npm test without lab/: ${seconds.toFixed(0)} s`);
});

test("npx cdktf synth and npm run export work", async () => {
  succeeded(await fork.run("npx cdktf synth"));
  succeeded(await fork.run("npm run export"));
  expect(readdirSync(join(fork.directory, "terraform-module"))).toContain("function.zip");
});

test.each(["start", "run lab", "run bench"])("npm %s says what is missing", async (command) => {
  const { status, output } = await fork.run(`npm ${command}`);
  expect(status).toBe(1);
  expect(output).toMatch(/needs the folder (lab|bench)\/, and this project has none/);
});

test("the README tells how many lines such a fork has", () => {
  const lines = (directory: string): number =>
    readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
      const path = join(directory, entry.name);
      if (["node_modules", "cdktf.out", ".git", "terraform-module", "package-lock.json"].includes(entry.name))
        return sum;
      if (entry.isDirectory()) return sum + lines(path);
      return /\.(ts|mjs|cjs)$/.test(entry.name) ? sum + readFileSync(path, "utf8").split("\n").length - 1 : sum;
    }, 0);
  const carried = ["main.ts", "function", "modules", "scripts"].map((name) => join(fork.directory, name));
  const count = carried.reduce(
    (sum, path) =>
      sum + (statSync(path).isDirectory() ? lines(path) : readFileSync(path, "utf8").split("\n").length - 1),
    0,
  );
  const [, told = ""] = /([\d,]+) lines of code/.exec(readFileSync("README.md", "utf8")) ?? [];
  const claimed = Number(told.replace(",", ""));
  expect(Math.abs(claimed - count)).toBeLessThanOrEqual(count * 0.1);
});
