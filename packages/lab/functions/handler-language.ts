import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { isProvided, isPython } from "../lambda/lambda-runtime";

/** What a handler is written in; `other` is a bootstrap that does not show it. */
export type HandlerLanguage = "nodejs" | "python" | "go" | "rust" | "java" | "other";

/** What compilers leave in a program, and what a script begins with. */
const MARKS: readonly (readonly [HandlerLanguage, RegExp])[] = [
  ["go", /\xff Go buildinf:/],
  ["rust", /\/rustc\/[0-9a-f]{40}\//],
  ["python", /^#!.*\bpython/],
  ["nodejs", /^#!.*\bnode\b/],
  ["java", /^#!.*sh\b[^]*\bjava\b/],
];

const CHUNK_BYTES = 4 * 1024 * 1024;
const OVERLAP_BYTES = 256;

/** By the runtime's name, and for a `bootstrap` by what is in it. */
export function handlerLanguage(directory: string, runtime: string): HandlerLanguage {
  if (isPython(runtime)) return "python";
  if (!isProvided(runtime)) return "nodejs";
  const program = join(directory, "bootstrap");
  if (!existsSync(program)) return "other";
  const file = openSync(program, "r");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    // Programs of hundreds of megabytes are read in parts, which overlap by more than a mark's length.
    for (let at = 0; ; at += CHUNK_BYTES - OVERLAP_BYTES) {
      const length = readSync(file, chunk, 0, CHUNK_BYTES, at);
      const text = chunk.toString("latin1", 0, length);
      const found = MARKS.find(([, mark]) => (at === 0 || !mark.source.startsWith("^")) && mark.test(text));
      if (found !== undefined) return found[0];
      if (length < CHUNK_BYTES) return "other";
    }
  } finally {
    closeSync(file);
  }
}
