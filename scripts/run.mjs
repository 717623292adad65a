/**
 * Sets up, then runs a TypeScript program of packages/. A project may have deleted that folder, and then this says so.
 *
 *   node scripts/run.mjs packages/lab/cli/lab.ts compare --json
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runNode } from "./run-node.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const [program, ...args] = process.argv.slice(2);

if (existsSync(join(ROOT, program))) {
  process.chdir(ROOT);
  process.exitCode = await runNode("scripts/setup.mjs");
  if (process.exitCode === 0)
    process.exitCode = await runNode("--conditions=source", "--import", "tsx", program, ...args);
} else {
  const folder = program.split("/").slice(0, 2).join("/");
  process.stderr.write(
    `This command needs the folder ${folder}/, and this project has none. Everything else works without it:\n` +
      "npx cdktf synth, npm test, npm run export. To have it back, copy the folder from the template.\n",
  );
  process.exitCode = 1;
}
