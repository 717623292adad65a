import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { directoriesUpward, projectDirectory } from "./project-directory";
import { Tsconfig } from "./tsconfig";

/** The native compiler under this project's name for it, and the compiler of an app that uses the package. */
const COMPILERS = ["typescript7", "typescript"];

/** Packages of types whose globals exist in the test runner only, so a function must not see them. */
const TEST_RUNNERS = /^(jest|mocha|jasmine|qunit|vitest|vitest\/globals|@jest\/globals|testing-library__jest-dom)$/;

/** What the options of a project say about output, which a check does not write; `null` takes an option back. */
const NO_OUTPUT = {
  noEmit: true,
  composite: false,
  incremental: false,
  declaration: false,
  isolatedDeclarations: false,
  tsBuildInfoFile: null,
  declarationMap: null,
  declarationDir: null,
  emitDeclarationOnly: null,
  rootDir: null,
  outDir: null,
  outFile: null,
};

interface Compiler {
  readonly program: string;
  readonly version: string;
}

/** The files and directories that a check depends on, and what was in them. */
interface Stamp {
  readonly files: readonly string[];
  readonly directories: readonly string[];
  readonly digest: string;
}

/**
 * The type errors of a function's entry file and of all that it imports, one line each, by the options of the
 * tsconfig.json nearest to the entry. Modules are found as the bundler finds them, whatever these options say.
 *
 * A check costs most of a second of CPU, and synthesizing is done far more often than the function is changed. So a
 * check that found nothing leaves a stamp, and is done again when one byte differs in any file that it read.
 *
 * @param entry an absolute path
 */
export function typeErrors(entry: string): string[] {
  let tsconfig: Tsconfig | undefined;
  try {
    tsconfig = Tsconfig.nearestTo(entry);
  } catch (error) {
    return [(error as Error).message];
  }
  const compiler = findCompiler(entry);
  if (compiler === undefined) {
    return [
      "there is no TypeScript compiler to check it. Run npm install --save-dev typescript, or set code.typeCheck to false",
    ];
  }
  const options = compilerOptions(entry, tsconfig, compiler);
  const stampFile = stampFileOf(entry);
  const basis = JSON.stringify([entry, options, compiler, tsconfig?.files]);
  if (stampFile !== undefined && isFresh(stampFile, basis)) return [];

  const { status, output, stderr } = check(entry, options, tsconfig, compiler);
  // An indented line goes on with the error above it.
  const lines = output
    .replaceAll(/\r?\n +/g, " ")
    .split(/\r?\n/)
    .filter((line) => line !== "");
  if (status !== 0) {
    const errors = lines.filter((line) => !path.isAbsolute(line));
    return errors.length > 0 ? errors.map(brief) : [`the TypeScript compiler failed (exit code ${status}): ${stderr}`];
  }
  if (stampFile !== undefined) {
    const read = lines.map((line) => path.normalize(line));
    leaveStamp(stampFile, basis, dependencies(read, tsconfig, options.typeRoots));
  }
  return [];
}

/**
 * Where the stamp of an entry is kept: in the first node_modules above it, or above cdktf.json. Undefined if there is
 * none.
 */
export function stampFileOf(entry: string): string | undefined {
  const modules = [path.dirname(entry), projectDirectory()]
    .flatMap(directoriesUpward)
    .map((directory) => path.join(directory, "node_modules"))
    .find((directory) => existsSync(directory));
  return modules && path.join(modules, ".cache/type-check", `${sha256(realpathSync(entry))}.json`);
}

function compilerOptions(entry: string, tsconfig: Tsconfig | undefined, { version }: Compiler) {
  const near = directoriesUpward(path.dirname(entry)).map(typesBelow).filter(existsSync);
  // An entry that lies outside of the project has the types of the project.
  const found = near.length > 0 ? near : directoriesUpward(projectDirectory()).map(typesBelow).filter(existsSync);
  const typeRoots = tsconfig?.paths("typeRoots") ?? found;
  const types = tsconfig?.option("types") as readonly string[] | undefined;
  const target = tsconfig?.option("target");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return {
    ...NO_OUTPUT,
    ...tsconfig?.configDirOptions(),
    skipLibCheck: true,
    // As esbuild finds modules, and allows "await" outside of functions.
    module: major > 5 || (major === 5 && minor >= 4) ? "preserve" : "esnext",
    moduleResolution: "bundler",
    resolveJsonModule: true,
    // "await" outside of functions needs ES2017; esbuild compiles for Lambda's Node.js whatever this says.
    ...(tsconfig === undefined || isOld(target) ? { target: "es2022" } : {}),
    ...(tsconfig === undefined ? { strict: true } : {}),
    // The second half finds `types` that are no packages of @types.
    typeRoots: [...typeRoots, ...typeRoots.filter(isTypes).map((directory) => path.dirname(directory))],
    types: (types ?? [...new Set(typeRoots.flatMap(packagesIn))]).filter((name) => !TEST_RUNNERS.test(name)),
  };
}

function typesBelow(directory: string): string {
  return path.join(directory, "node_modules/@types");
}

function isTypes(directory: string): boolean {
  return path.basename(directory) === "@types";
}

function isOld(target: unknown): boolean {
  return typeof target !== "string" || /^es(3|5|6|2015|2016)$/i.test(target);
}

/** What the compiler would take by itself: https://www.typescriptlang.org/tsconfig/#types */
function packagesIn(typeRoot: string): string[] {
  return listing(typeRoot).filter(
    (name) => !name.startsWith(".") && existsSync(path.join(typeRoot, name, "index.d.ts")),
  );
}

function check(entry: string, compilerOptions: object, tsconfig: Tsconfig | undefined, { program }: Compiler) {
  // Not beside the sources, which may be read-only.
  const directory = mkdtempSync(path.join(tmpdir(), "type-check-"));
  try {
    const project = path.join(directory, "tsconfig.json");
    const config = {
      ...(tsconfig ? { extends: tsconfig.file } : {}),
      compilerOptions,
      include: [],
      files: [entry],
      references: [],
    };
    writeFileSync(project, JSON.stringify(config));
    const args = [program, "--project", project, "--listFiles", "--pretty", "false"];
    // Garbage collection takes a quarter of the native compiler's CPU. Without it the compiler needs 80 MB.
    const env = { GOGC: "off", ...process.env };
    const { stdout, stderr, status, error } = spawnSync(process.execPath, args, {
      cwd: projectDirectory(),
      encoding: "utf8",
      env,
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error) throw error;
    return { output: stdout, stderr, status };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `function/index.ts:3:7 TS2322 Type 'string' is not assignable to type 'number'.` */
function brief(line: string): string {
  return line.replace(/^(.*)\((\d+),(\d+)\): error (TS\d+): /, "$1:$2:$3 $4 ").replace(/^error (TS\d+): /, "$1 ");
}

/** A process of its own: the native compiler is a program that takes a fifth of the JavaScript compiler's time. */
function findCompiler(entry: string): Compiler | undefined {
  const directories = [projectDirectory(), path.dirname(entry)].flatMap(directoriesUpward);
  for (const name of COMPILERS) {
    const candidates = directories.map((directory) => path.join(directory, "node_modules", name));
    const found = candidates.find((candidate) => existsSync(path.join(candidate, "package.json")));
    if (found === undefined) continue;
    const { version } = JSON.parse(readFileSync(path.join(found, "package.json"), "utf8")) as Compiler;
    return { program: path.join(found, "bin/tsc"), version };
  }
  return undefined;
}

/** What can change the result: the files that were read, their packages, and places where new files would count. */
function dependencies(
  read: readonly string[],
  tsconfig: Tsconfig | undefined,
  typeRoots: readonly string[],
): Pick<Stamp, "files" | "directories"> {
  const directories = new Set(read.map((file) => path.dirname(file)));
  const isPackages = (directory: string): boolean => directory.split(path.sep).includes("node_modules");
  const manifests = new Set([...directories].flatMap(directoriesUpward).map((each) => path.join(each, "package.json")));
  const locks = [...directories]
    .flatMap(directoriesUpward)
    .map((each) => path.join(each, "node_modules/.package-lock.json"));
  return {
    files: [...new Set([...read, ...(tsconfig?.files ?? []), ...manifests, ...locks])],
    directories: [...new Set([...[...directories].filter((each) => !isPackages(each)), ...typeRoots.filter(isTypes)])],
  };
}

function leaveStamp(stampFile: string, basis: string, on: Pick<Stamp, "files" | "directories">): void {
  try {
    mkdirSync(path.dirname(stampFile), { recursive: true });
    const stamp: Stamp = { ...on, digest: digest(basis, on) };
    // In one step, because another synthesis may read it.
    const unfinished = `${stampFile}.${process.pid}`;
    writeFileSync(unfinished, JSON.stringify(stamp));
    renameSync(unfinished, stampFile);
  } catch {
    // Not writable: the next synthesis checks again.
  }
}

function isFresh(stampFile: string, basis: string): boolean {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, "utf8")) as Stamp;
    return digest(basis, stamp) === stamp.digest;
  } catch {
    // No stamp yet, or not a readable one.
    return false;
  }
}

function digest(basis: string, { files, directories }: Pick<Stamp, "files" | "directories">): string {
  const contents = files.map((file) => `${file}\n${contentDigest(file)}`);
  return sha256([basis, ...contents, ...directories.map((each) => `${each}\n${listing(each).join("\n")}`)].join("\n"));
}

/** Also for a file that does not exist, so that a new file is noticed. */
function contentDigest(file: string): string {
  try {
    return sha256(readFileSync(file));
  } catch {
    return "none";
  }
}

function listing(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
