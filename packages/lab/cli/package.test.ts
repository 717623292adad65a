/** The lab as a tool of its own: packed, installed in an empty folder, and run on a handler there. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lambdaRuntime } from "../lambda/lambda-runtime";

jest.setTimeout(300_000);

const LAB = join(__dirname, "..");
const RUNTIME = join(LAB, "lambda/runtimes/nodejs24.x");
const HANDLER = `
const mysql = require("mysql2/promise");
const pool = mysql.createPool(process.env.MYSQL_URL);
exports.handler = async () => (await pool.query("SELECT 1 AS one"))[0];
process.once("SIGTERM", async () => {
  await pool.end();
  process.kill(process.pid, "SIGTERM");
});`;

const scratch = mkdtempSync(join(tmpdir(), "package-"));
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

function run(command: string, env: NodeJS.ProcessEnv = {}): string {
  const options = {
    cwd: scratch,
    env: { ...process.env, MYSQL_URL: "", NO_COLOR: "1", FORCE_COLOR: undefined, ...env },
    encoding: "utf8",
  } as const;
  return execFileSync("sh", ["-c", command], { ...options, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 2 ** 26 });
}

test("npx lambda-shutdown-lab compare --handler ./dist works where there is nothing but the package", () => {
  const [{ filename, files }] = JSON.parse(run(`npm pack --json --pack-destination ${scratch} ${LAB}`)) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  const packed = files.map(({ path }) => path);
  expect(packed).toContain("README.md");
  expect(packed.filter((path) => /\.test\.ts$|node_modules|test-handlers/.test(path))).toEqual([]);

  mkdirSync(join(scratch, "dist"), { recursive: true });
  writeFileSync(join(scratch, "dist/index.js"), HANDLER);
  writeFileSync(join(scratch, "package.json"), '{"private":true}');
  run(`npm install --prefer-offline --no-audit --no-fund ./${filename}`);

  // The runtime that this checkout has compiled, where the package looks for its own.
  lambdaRuntime("nodejs24.x");
  const lock = createHash("sha256")
    .update(readFileSync(join(RUNTIME, "package-lock.json")))
    .digest("hex");
  mkdirSync(join(scratch, "cache/lambda-shutdown-lab"), { recursive: true });
  symlinkSync(RUNTIME, join(scratch, "cache/lambda-shutdown-lab", `nodejs24.x-${lock.slice(0, 12)}`));

  const cache = { XDG_CACHE_HOME: join(scratch, "cache") };
  const { clean, results } = JSON.parse(run("npx lambda-shutdown-lab compare --handler ./dist --json", cache)) as {
    readonly clean: boolean;
    readonly results: readonly { readonly subject: string; readonly outcomes: readonly string[] }[];
  };
  expect(clean).toBe(true);
  expect(results.map(({ subject, outcomes }) => [subject, outcomes])).toEqual([
    ["dist", ["closed"]],
    ["the article's way", ["closed"]],
    ["no extension", ["leaked"]],
  ]);
});
