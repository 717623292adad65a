/**
 * `npm run documents` writes the generated parts of the documents. `-- --check` only compares them, and `-- --lines` prints
 * how large the parts of the repository are.
 */
import { writeFileSync } from "node:fs";
import { pages } from "../project/markdown";
import { withGeneratedParts } from "./generated-parts";
import { linesTable } from "./source-lines";

async function write(isCheck: boolean): Promise<void> {
  for (const { path, text } of pages()) {
    const current = await withGeneratedParts(text, path);
    if (current === text) continue;
    if (!isCheck) writeFileSync(path, current);
    console.log(isCheck ? `${path} is not what the source says: npm run documents` : `written: ${path}`);
    if (isCheck) process.exitCode = 1;
  }
}

if (process.argv.includes("--lines")) console.log(linesTable());
else void write(process.argv.includes("--check"));
