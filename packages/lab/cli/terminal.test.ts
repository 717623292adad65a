/** The tests themselves, on a terminal, where Jest and everything it starts may write colours. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";
import { canAnimate, wrapped } from "./terminal";

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

test("a spinner needs a terminal that tells its width, and no CI", () => {
  const wide = { isTTY: true, columns: 80 };
  expect(canAnimate(wide, {})).toBe(true);
  expect(canAnimate(wide, { CI: "true" })).toBe(false);
  expect(canAnimate({ isTTY: true, columns: 0 }, {})).toBe(false);
  expect(canAnimate({ columns: 80 }, {})).toBe(false);
});

test("sentences are as wide as the terminal, code to copy stays as it is", () => {
  const code = `    ${"x".repeat(100)}`;
  const lines = wrapped(`${"word ".repeat(40)}\n${code}`, 60).split("\n");
  expect(lines).toContain(code);
  expect(Math.max(...lines.filter((line) => line !== code).map((line) => line.length))).toBeLessThanOrEqual(60);
});

/** A terminal of 0 columns, as with `docker run -t` in a CI: Python's pty does not set a size. */
const PTY = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
const POOL = ["--handler", "packages/lab/cli/user-handlers/pool"];
const SMALL = ["--environments", "2", "--seconds", "1"];

test.each([
  ["run", [...POOL, "--end", "idle"]],
  ["compare", POOL],
  ["storm", [...POOL, ...SMALL, "--subject", "ours"]],
  ["report", [...POOL, ...SMALL, "--no-faults", "--json"]],
  ["faults", [...POOL, "--env", "MYSQL_URL=none"]],
])(
  "%s ends on a terminal without a size",
  async (command, args) => {
    const lab = [process.execPath, "--import", "tsx", "packages/lab/cli/lab.ts", command, ...args];
    const options = {
      cwd: ROOT,
      env: { ...process.env, CI: undefined, MYSQL_URL: "" },
      timeout: 120_000,
      maxBuffer: 2 ** 22,
    };
    const ended = await promisify(execFile)("python3", ["-c", PTY, ...lab], options).catch((error: unknown) => error);
    const { code = 0, stdout } = ended as { readonly code?: number | string; readonly stdout: string };
    expect([0, 1, 3]).toContain(code);
    expect(stdout).not.toContain("\u001b[1A"); // no line is overwritten
  },
  240_000,
);
