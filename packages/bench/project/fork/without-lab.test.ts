/** A fork that deletes packages/lab and packages/bench, and nothing else. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Fork, succeeded } from "./fork";

jest.setTimeout(400_000);

const fork = new Fork();
fork.delete("packages/lab", "packages/bench");

test("npm ci installs the template's packages, and none of the lab's", async () => {
  succeeded(await fork.run("npm ci --prefer-offline --ignore-scripts --no-audit --no-fund"));
  const installed = readdirSync(join(fork.directory, "node_modules"));
  expect(installed).toContain("cdktf");
  for (const name of ["lambda-shutdown-lab", "playwright-core", "serverless-mysql", "linkedom"]) {
    expect(installed).not.toContain(name);
  }
});

test("npm test passes, without a database, Terraform and AWS's client", async () => {
  const { output, seconds } = succeeded(await fork.run("npm test"));
  expect(output).toMatch(/^Tests: +(\d+ skipped, )?\d+ passed, \d+ total$/m);
  console.info(`npm test without packages/lab: ${seconds.toFixed(0)} s`);
});

test("npx cdktf synth and npm run export work", async () => {
  succeeded(await fork.run("npx cdktf synth"));
  succeeded(await fork.run("npm run export"));
  expect(readdirSync(join(fork.directory, "terraform-module"))).toContain("function.zip");
});

test.each(["start", "run lab", "run bench"])("npm %s says what is missing", async (command) => {
  const { status, output } = await fork.run(`npm ${command}`);
  expect(status).toBe(1);
  expect(output).toMatch(/needs the folder packages\/(lab|bench)\/, and this project has none/);
});
