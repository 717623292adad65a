/**
 * Builds what `npm pack` packs, into dist/. npm runs it by itself: as the script "prepack" before `npm pack`, and as
 * the script "prepare" where the package is installed by a Git URL, since npm runs no other script there.
 *
 *   dist/construct/  the construct for CDKTF: CommonJS, as what `cdktf init` makes runs it, and types
 *   dist/cdktn/      the same for CDK Terrain: only the names of the packages that it imports are others
 *   dist/function/   the function library and worker-signals: ES modules, and types
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(ROOT, "dist");
const BUILD = join(DIST, "build");

/** With the project's options, except for the output. */
function compile(entries, options) {
  const project = join(BUILD, "tsconfig.json");
  const compilerOptions = { noEmit: false, declaration: true, types: ["node"], ...options };
  writeFileSync(
    project,
    JSON.stringify({ extends: "../../tsconfig.json", compilerOptions, include: [], files: entries }),
  );
  const compiler = createRequire(import.meta.url)
    .resolve("typescript7/package.json")
    .replace(/package\.json$/, "bin/tsc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, "--project", project], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stdout + stderr);
}

function rewrite(directory, change) {
  for (const name of readdirSync(directory).filter((each) => /\.(js|d\.[cm]?ts)$/.test(each))) {
    const file = join(directory, name);
    writeFileSync(file, change(readFileSync(file, "utf8")));
  }
}

function construct() {
  const target = join(DIST, "construct");
  compile([join(ROOT, "modules/index.ts")], {
    module: "nodenext",
    moduleResolution: "nodenext",
    rootDir: join(ROOT, "modules"),
    outDir: target,
  });
  cpSync(join(ROOT, "modules/rds-roots.pem"), join(target, "rds-roots.pem"));
  cpSync(target, join(DIST, "cdktn"), { recursive: true });
  rewrite(join(DIST, "cdktn"), (text) =>
    text.replaceAll(/(["'])cdktf\1/g, "$1cdktn$1").replaceAll(/(["'])@cdktf\/provider-/g, "$1@cdktn/provider-"),
  );
}

async function functionLibrary() {
  // Here, since a set-up of the project runs "prepare" as well, whatever is installed.
  const { buildSync } = await import("esbuild");
  const target = join(DIST, "function");
  const entries = {
    index: join(ROOT, "function/library.ts"),
    "worker-signals": join(ROOT, "function/worker-signals.ts"),
  };
  compile(Object.values(entries), { emitDeclarationOnly: true, rootDir: join(ROOT, "function"), outDir: target });
  // Each file is whole: worker-signals is deployed beside the bundle, not in it.
  for (const [name, entry] of Object.entries(entries)) {
    buildSync({
      entryPoints: [entry],
      outfile: join(target, `${name}.mjs`),
      bundle: true,
      packages: "external",
      platform: "node",
      target: "node22",
      format: "esm",
      charset: "utf8",
      logLevel: "warning",
    });
  }
  // As Node.js's own resolution wants them: with their extensions.
  rewrite(target, (text) => text.replaceAll(/((?:from|import\() ?")(\.\/[\w-]+)(")/g, "$1$2.mjs$3"));
  for (const name of readdirSync(target).filter((each) => each.endsWith(".d.ts"))) {
    const base = name === "library.d.ts" ? "index" : name.replace(/\.d\.ts$/, "");
    renameSync(join(target, name), join(target, `${base}.d.mts`));
  }
}

/**
 * npm runs "prepare" after `npm ci` of a clone as well, which needs no dist/. Only where npm packs a directory does it
 * say which one; `npm pack` has built already.
 */
function isNeeded() {
  const { npm_lifecycle_event: event, npm_package_resolved: directory = "", npm_command: command } = process.env;
  return event !== "prepare" || (directory !== "" && command !== "pack" && command !== "publish");
}

if (isNeeded()) {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  construct();
  await functionLibrary();
  rmSync(BUILD, { recursive: true });
}
