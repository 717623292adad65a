/**
 * Sets up, then runs a TypeScript program of packages/. A project may have deleted that folder, and then this says so.
 *
 *   node scripts/run.mjs packages/lab/cli/lab.ts compare --json
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const [program, ...args] = process.argv.slice(2);

if (!existsSync(join(ROOT, program))) {
  const folder = dirname(dirname(program));
  process.stderr.write(
    `This command needs the folder ${folder}/, and this project has none. Everything else works without it:\n` +
      "npx cdktf synth, npm test, npm run export. To have it back, copy the folder from the template.\n",
  );
  process.exit(1);
}
/** Resolves with the exit code. A signal that reaches this process alone is passed on. */
function node(...command) {
  const child = spawn(process.execPath, command, { cwd: ROOT, stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

process.exitCode = await node(join(ROOT, "scripts/setup.mjs"));
if (process.exitCode === 0)
  process.exitCode = await node("--conditions=source", "--import", "tsx", join(ROOT, program), ...args);
