/**
 * Builds the dist/ that `npm pack` packs, for the package in the working directory (npm's "prepack") or for those named:
 *
 *   node scripts/build.mjs packages/shutdown packages/mysql
 *
 * The package's `exports` say what to build, and the folder of a target says how:
 *
 *   dist/esm/NAME.js    from src/NAME.ts, an ES module
 *   dist/cjs/NAME.js    from src/NAME.ts, a CommonJS module
 *   dist/cdktf/NAME.js  from NAME.ts, a CommonJS module
 *   dist/cdktn/NAME.js  the same for CDK Terrain, with the names of its packages
 *
 * A package whose sources did not change since its last build is left as it is.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { manifestOf, workspaces } from "./workspaces.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const STAMPS = join(ROOT, "node_modules/.cache/build");

/** Folder of dist/ → where its sources are, and the module format. */
const FORMATS = {
  esm: { sources: "src", type: "module", module: "nodenext" },
  cjs: { sources: "src", type: "commonjs", module: "commonjs" },
  cdktf: { sources: ".", type: "commonjs", module: "commonjs" },
  cdktn: { sources: ".", type: "commonjs", module: "commonjs" },
};
/** TypeScript keeps these names out of the output, or gives them back by itself. */
const COMPILED = [".ts", ".mts", ".cts", ".js", ".mjs"];

/** Every path in `exports`, whatever its conditions. */
function targets(exports) {
  return typeof exports === "string" ? [exports] : Object.values(exports ?? {}).flatMap(targets);
}

/** The files that decide what is built. Tests and test doubles are not published. */
function sourceFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /^(node_modules|dist|__tests__|\..*)$/.test(entry.name) ? [] : sourceFiles(path);
    return /\.test\.ts$|^fake-|\.(md|tgz|proto)$/.test(entry.name) ? [] : [path];
  });
}

/** The build of a package reads the types of the workspaces that it depends on, so they are built first. */
function workspaceDependencies(folder) {
  const { dependencies = {} } = manifestOf(folder);
  return workspaces().filter((each) => Object.hasOwn(dependencies, manifestOf(each).name));
}

function compile(folder, entries, outDir, { sources, module }) {
  const project = join(outDir, "tsconfig.json");
  const compilerOptions = {
    module,
    moduleResolution: module === "nodenext" ? "nodenext" : "bundler",
    rewriteRelativeImportExtensions: sources === "src",
    allowImportingTsExtensions: false,
    // What a user of the package gets, not the sources of the workspace.
    customConditions: [],
    types: ["node"],
    noEmit: false,
    declaration: true,
    declarationMap: true,
    sourceMap: true,
    rootDir: join(folder, sources),
    outDir,
  };
  mkdirSync(outDir, { recursive: true });
  writeFileSync(
    project,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, include: [], files: entries }),
  );
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript7/package.json")), "bin/tsc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, "--project", project], {
    cwd: ROOT,
    encoding: "utf8",
  });
  rmSync(project);
  if (status !== 0) throw new Error(`${relative(ROOT, folder)} does not compile:\n${stdout}${stderr}`);
}

function rewrite(folder, pattern, change) {
  for (const name of readdirSync(folder, { recursive: true }).filter((each) => pattern.test(each))) {
    const file = join(folder, name);
    writeFileSync(file, change(readFileSync(file, "utf8")));
  }
}

/** Files that the compiled code reads, such as certificates and tables. */
function copyData(folder, output) {
  for (const file of sourceFiles(folder)) {
    const path = relative(folder, file);
    if (COMPILED.includes(extname(file)) || path === "package.json") continue;
    cpSync(file, join(output, path));
  }
}

function buildFormat(folder, name, entries, output) {
  const format = FORMATS[name];
  compile(folder, entries, output, format);
  // rewriteRelativeImportExtensions leaves the declarations as they are.
  if (format.sources === "src")
    rewrite(output, /\.d\.ts$/, (text) => text.replaceAll(/(["']\.{1,2}\/[^"'\n]+)\.ts(["'])/g, "$1.js$2"));
  copyData(join(folder, format.sources), output);
  if (format.type !== (manifestOf(folder).type ?? "commonjs"))
    writeFileSync(join(output, "package.json"), `${JSON.stringify({ type: format.type })}\n`);
  if (name === "cdktn")
    rewrite(output, /\.(js|d\.ts)$/, (text) =>
      text.replaceAll(/(["'])cdktf\1/g, "$1cdktn$1").replaceAll(/(["'])@cdktf\/provider-/g, "$1@cdktn/provider-"),
    );
}

/** dist/<format>/<name>.js → the source of <name>, by format. */
function entriesByFormat(folder) {
  const entries = new Map();
  for (const target of new Set(targets(manifestOf(folder).exports))) {
    const [, name, path] = /^\.\/dist\/([^/]+)\/(.+)(?<!\.d)\.[cm]?js$/.exec(target) ?? [];
    if (name === undefined) continue;
    if (!Object.hasOwn(FORMATS, name))
      throw new Error(`${folder}/package.json: exports has ${target}, and dist/ has only ${Object.keys(FORMATS)}`);
    const extension = /\.([cm]?)js$/.exec(target)[1];
    const source = join(folder, FORMATS[name].sources, `${path}.${extension}ts`);
    entries.set(name, [...(entries.get(name) ?? []), source]);
  }
  return entries;
}

function fingerprint(folder) {
  const hash = createHash("sha256");
  const shared = ["scripts/build.mjs", "tsconfig.json"].map((name) => join(ROOT, name));
  for (const file of [...shared, ...sourceFiles(folder).sort()]) hash.update(`${file}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

/** Returns the fingerprint of the package and its dependencies. */
function build(folder) {
  const dependencies = workspaceDependencies(folder).map(build);
  const current = [fingerprint(folder), ...dependencies].join("-");
  const entries = entriesByFormat(folder);
  const stamp = join(STAMPS, manifestOf(folder).name);
  const dist = join(folder, "dist");
  const isCurrent = existsSync(dist) && existsSync(stamp) && readFileSync(stamp, "utf8") === current;
  if (entries.size === 0 || isCurrent) return current;
  // Another process may read dist/ meanwhile. The depth of this folder is that of dist/, for the paths in source maps.
  const output = join(folder, `.build-${process.pid}`);
  try {
    for (const [name, files] of entries) buildFormat(folder, name, files, join(output, name));
    rmSync(dist, { recursive: true, force: true });
    renameSync(output, dist);
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(stamp, current);
  return current;
}

const named = process.argv.slice(2);
for (const folder of named.length > 0 ? named : ["."]) build(resolve(folder));
