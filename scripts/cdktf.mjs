#!/usr/bin/env node
/** The command `cdktf` of this folder, which npx prefers to node_modules/.bin. So it can be the first command of a clone. */
import { fileURLToPath } from "node:url";
import { runNode } from "./run-node.mjs";

const path = (file) => fileURLToPath(new URL(file, import.meta.url));

process.exitCode = await runNode(path("setup.mjs"), "--no-runtime");
if (process.exitCode === 0)
  process.exitCode = await runNode(path("../node_modules/cdktf-cli/bundle/bin/cdktf"), ...process.argv.slice(2));
