/** Somebody's own extension, which waits for what the Telemetry API tells it. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const ROOT = join(__dirname, "../../..");
const scratch = mkdtempSync(join(tmpdir(), "extension-program-"));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

async function run(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const command = [
    "--import",
    "tsx",
    "packages/lab/cli/lab.ts",
    "run",
    "--handler",
    join(__dirname, "user-handlers/pool"),
  ];
  const env = { ...process.env, MYSQL_URL: "", NO_COLOR: "1", FORCE_COLOR: undefined };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...command, ...args], { cwd: ROOT, env });
    return { code: 0, output: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as {
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    };
    return { code, output: stdout + stderr };
  }
}

function program(name: string, mode = 0o755): string {
  const path = join(scratch, name);
  const extension = join(__dirname, "../lambda/test-handlers/telemetry-extension.mjs");
  const options = JSON.stringify({ types: ["platform"], buffering: { timeoutMs: 25 } });
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${extension}" ${name} '${options}'\n`, { mode });
  return path;
}

test("an extension of one's own takes the place of the fake, and hears the Telemetry API", async () => {
  const notes = join(scratch, "notes");
  const { output } = await run("--extension-program", program("mine"), "--env", `NOTES=${notes}`);
  expect(output).toContain("extension mine registered");
  expect(output).not.toContain("fake-insights-extension");
  expect(output).toContain("response");
  expect(readFileSync(notes, "utf8")).toContain('"platform.report"');
});

test.each([
  ["what cannot be started", () => [program("not-executable", 0o644)], "Allowed is the path of an executable file"],
  ["a folder", () => [scratch], "Allowed is the path of an executable file"],
  ["no external extension", () => [program("mine"), "--extension", "none"], "not with --extension none"],
])("%s is wrong usage", async (_, args, message) => {
  const { code, output } = await run("--extension-program", ...args());
  expect([code, output]).toEqual([2, expect.stringContaining(message)]);
});
