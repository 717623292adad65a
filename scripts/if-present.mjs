/** Runs a TypeScript program of packages/ that a fork may have deleted. Without it, there is nothing to do. */
import { existsSync } from "node:fs";
import { runNode } from "./run-node.mjs";

const [program, ...args] = process.argv.slice(2);
if (existsSync(program)) process.exitCode = await runNode("--conditions=source", "--import", "tsx", program, ...args);
