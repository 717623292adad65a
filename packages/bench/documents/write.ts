/**
 * `npm run documents` writes the generated parts of the documents. `-- --check` only compares them, and `-- --lines` prints
 * how large the parts of the repository are.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { pages } from "../project/markdown";
import { withGeneratedParts } from "./generated-parts";
import { heldFigures } from "./held-figure";
import { linesTable } from "./source-lines";

async function write(isCheck: boolean): Promise<void> {
  const files = new Map(heldFigures());
  for (const { path, text } of pages()) files.set(path, await withGeneratedParts(text, path));
  for (const [path, current] of files) {
    if (existsSync(path) && readFileSync(path, "utf8") === current) continue;
    if (!isCheck) writeFileSync(path, current);
    console.log(isCheck ? `${path} is not what the source says: npm run documents` : `written: ${path}`);
    if (isCheck) process.exitCode = 1;
  }
}

if (process.argv.includes("--lines")) console.log(linesTable());
else void write(process.argv.includes("--check"));
