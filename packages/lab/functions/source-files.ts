import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** A file of the function's, with what a bundler took from packages left out. */
export interface SourceFile {
  /** Relative to the function's directory. */
  readonly name: string;
  /** As it is. */
  readonly text: string;
  /** Without what comes from packages, which says nothing of the function. */
  readonly own: string;
}

const TYPESCRIPT = /\.[mc]?ts$/;
const CODE = /\.(js|mjs|cjs|ts|mts|cts)$/;
/** A bundle may be large; what the lab looks for stands in a few megabytes. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_FILES = 500;

/** The function's own files, without its packages. */
export function sourceFiles(directory: string): readonly SourceFile[] {
  const files: SourceFile[] = [];
  let bytes = 0;
  const visit = (folder: string): void => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules" && !entry.name.startsWith(".")) visit(path);
      } else if (CODE.test(entry.name) && files.length < MAX_FILES && bytes < MAX_BYTES) {
        bytes += statSync(path).size;
        const text = readFileSync(path, "utf8").slice(0, MAX_BYTES);
        files.push({ name: relative(directory, path), text, own: withoutPackages(text) });
      }
    }
  };
  visit(directory);
  // TypeScript beside what was compiled from it does not run.
  const compiled = files.filter(({ name }) => !TYPESCRIPT.test(name));
  return compiled.length > 0 ? compiled : files;
}

/** Bundlers name each file in a comment. */
function withoutPackages(code: string): string {
  const parts = code.split(/^(?=\/\/ (?:[\w@.-]+\/)*[\w@.$-]+\.[cm]?[jt]sx?$)/m);
  return parts.filter((part) => !/^\/\/ \S*node_modules\/[^.\s]/.test(part)).join("");
}

/** It has no import or export of an ES module's. */
export function isCommonJs({ name, own }: Pick<SourceFile, "name" | "own">): boolean {
  if (/\.m[jt]s$/.test(name)) return false;
  return !/^\s*(import\s*["'{*\w]|export\s+\w|export\s*[{*])/m.test(own);
}
