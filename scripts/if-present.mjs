/**
 * Runs a program for packages/bench, which a fork may have deleted: a TypeScript program of its own, or a package's. Without
 * packages/bench, there is nothing to do.
 */
import { existsSync } from "node:fs";
import { runNode } from "./run-node.mjs";

const [program, ...args] = process.argv.slice(2);
if (existsSync("packages/bench")) {
  process.exitCode = await runNode("--conditions=source", "--import", "tsx", program, ...args);
}
