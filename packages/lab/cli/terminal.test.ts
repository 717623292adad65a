/** The tests themselves, on a terminal, where Jest and everything it starts may write colours. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";

const ROOT = join(__dirname, "../../..");
const TESTS = [
  "packages/lab/cli/start",
  "packages/lab/cli/events",
  "packages/lab/runs/comparison",
  "packages/lab/runs/advice",
  "packages/lab/report/report",
];

test("tests of the output pass on a terminal, which script(1) is", async () => {
  const command = `${process.execPath} node_modules/jest/bin/jest.js --maxWorkers=1 ${TESTS.join(" ")}`;
  const env: NodeJS.ProcessEnv = { ...process.env, TERM: "xterm-256color", FORCE_COLOR: undefined, CI: undefined };
  // Linux has util-linux's, macOS BSD's.
  const script =
    process.platform === "linux" ? ["-qec", command, "/dev/null"] : ["-q", "/dev/null", "sh", "-c", command];
  const { stdout } = await promisify(execFile)("script", script, { cwd: ROOT, env, maxBuffer: 2 ** 26 }).catch(
    (error: unknown) => {
      throw new Error(stripVTControlCharacters((error as { readonly stdout: string }).stdout).slice(-10_000));
    },
  );
  expect(stripVTControlCharacters(stdout)).toMatch(/Tests: +\d+ passed, \d+ total/);
  expect(stdout).toContain("\u001b[3"); // a colour
}, 240_000);
