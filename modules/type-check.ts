import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const CACHE = "node_modules/.cache/type-check";

/** The native compiler under this project's name for it, and the one of an app that the construct was taken into. */
const COMPILERS = ["typescript7", "typescript"];

/** The files a check read, and what was in them. */
interface Stamp {
  readonly files: readonly string[];
  readonly digest: string;
}

/**
 * The type errors of a function's entry file and of all that it imports, one line each, by the options of the project's
 * tsconfig.json.
 *
 * A check costs most of a second of CPU, and synthesizing is done far more often than the function is changed. So a
 * check that found nothing leaves a stamp, and is done again when one byte differs in any file that it read.
 */
export function typeErrors(entry: string): string[] {
  const stampFile = stampFileOf(entry);
  if (isFresh(stampFile)) return [];

  mkdirSync(CACHE, { recursive: true });
  const configFile = path.resolve("tsconfig.json");
  const ownConfigFile = path.resolve(stampFile.replace(/\.json$/, ".tsconfig.json"));
  const ownConfig = {
    ...(existsSync(configFile) ? { extends: configFile } : {}),
    // A function must not see the globals of a test runner.
    compilerOptions: {
      noEmit: true,
      skipLibCheck: true,
      types: ["node"],
      typeRoots: [path.resolve("node_modules/@types")],
    },
    include: [],
    files: [path.resolve(entry)],
  };
  writeFileSync(ownConfigFile, JSON.stringify(ownConfig));
  const args = [compiler(), "--project", ownConfigFile, "--listFiles", "--pretty", "false"];
  // Collecting garbage is a quarter of the native compiler's CPU, and without it it ends with 80 MB.
  const env = { GOGC: "off", ...process.env };
  const { stdout, stderr, status, error } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  if (error) throw error;

  // An indented line goes on with the error above it.
  const lines = stdout
    .replaceAll(/\n +/g, " ")
    .split("\n")
    .filter((line) => line !== "");
  if (status === 0) {
    const files = [...(existsSync(configFile) ? [configFile] : []), ...lines];
    writeFileSync(stampFile, JSON.stringify({ files, digest: digest(files) } satisfies Stamp));
    return [];
  }
  const errors = lines.filter((line) => !path.isAbsolute(line));
  return errors.length > 0 ? errors.map(brief) : [`the TypeScript compiler failed (exit code ${status}): ${stderr}`];
}

/** Where the stamp of an entry is kept. */
export function stampFileOf(entry: string): string {
  return path.join(CACHE, `${sha256(realpathSync(entry))}.json`);
}

/** `function/index.ts:3:7 TS2322 Type 'string' is not assignable to type 'number'.` */
function brief(line: string): string {
  return line.replace(/^(.*)\((\d+),(\d+)\): error (TS\d+): /, "$1:$2:$3 $4 ").replace(/^error (TS\d+): /, "$1 ");
}

/** A process of its own: the native compiler is a program, and it takes a fifth of the time of the one in JavaScript. */
function compiler(): string {
  const { resolve } = createRequire(path.resolve("package.json"));
  for (const name of COMPILERS) {
    try {
      return path.join(path.dirname(resolve(`${name}/package.json`)), "bin/tsc");
    } catch {
      continue;
    }
  }
  throw new Error("no TypeScript compiler to check the function with: npm install --save-dev typescript");
}

function isFresh(stampFile: string): boolean {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, "utf8")) as Stamp;
    return digest(stamp.files) === stamp.digest;
  } catch {
    // No stamp yet, or a file that it names is gone.
    return false;
  }
}

function digest(files: readonly string[]): string {
  return sha256(files.map((file) => `${file}\n${sha256(readFileSync(file))}`).join("\n"));
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
