/**
 * `npm run standalone` turns a clone into a project that installs the packages instead of carrying their sources. It packs
 * them into vendor/, and deletes everything that is not the project's own. Run it in a fork, before the first change.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { manifestOf, publishedPackages } from "./workspaces.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What stays, besides vendor/. */
const KEPT = [
  ".editorconfig .git .gitignore .nvmrc .prettierignore .prettierrc.json LICENSE lab.config.json node_modules",
  "__tests__ cdktf.json eslint.config.mjs function jest.config.cjs main.ts package.json package-lock.json tsconfig.json",
]
  .join(" ")
  .split(" ");
const KEPT_SCRIPTS = ["cdktf.mjs", "run-node.mjs", "setup.mjs"];

/** Tools of the template itself, and of its own tests. */
const DEV_DEPENDENCIES = [
  "@eslint/js @swc/core @swc/jest @types/jest eslint eslint-config-prettier eslint-plugin-regexp jest prettier",
  "typescript-eslint typescript7",
  "concurrently",
]
  .join(" ")
  .split(" ");
const LAB = "lambda-shutdown-lab";

const SCRIPTS = {
  start: `node scripts/setup.mjs --test && ${LAB} compare`,
  test: "node scripts/setup.mjs --test && npm run check && jest",
};
const KEPT_COMMANDS = ["check", "check:types", "check:lint", "check:format", "format", "synth"];

function npm(...args) {
  execFileSync("npm", args, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
}

/** Name of each package → its tarball. */
function pack() {
  const folders = publishedPackages();
  if (folders.length === 0) throw new Error("this project has no packages/ and modules/: it stands alone already");
  const vendor = join(ROOT, "vendor");
  mkdirSync(vendor, { recursive: true });
  npm("pack", "--pack-destination", vendor, ...folders.flatMap((folder) => ["-w", relative(ROOT, folder)]));
  return Object.fromEntries(
    folders.map((folder) => {
      const { name, version } = manifestOf(folder);
      return [name, `file:vendor/${name}-${version}.tgz`];
    }),
  );
}

const pick = (object, names) => Object.fromEntries(Object.entries(object).filter(([name]) => names.includes(name)));

function editJson(file, change) {
  const path = join(ROOT, file);
  if (!existsSync(path)) return;
  writeFileSync(path, `${JSON.stringify(change(JSON.parse(readFileSync(path, "utf8"))), undefined, 2)}\n`);
}

function standaloneManifest(manifest, { [LAB]: lab, ...tarballs }) {
  return {
    ...manifest,
    // JSON leaves it out.
    workspaces: undefined,
    scripts: { ...pick(manifest.scripts, KEPT_COMMANDS), ...SCRIPTS },
    devDependencies: {
      ...pick(manifest.devDependencies, DEV_DEPENDENCIES),
      ...(lab === undefined ? {} : { [LAB]: lab }),
    },
    dependencies: { ...manifest.dependencies, ...tarballs },
  };
}

if (!existsSync(join(ROOT, "node_modules"))) npm("ci", "--ignore-scripts", "--no-audit", "--no-fund");
const tarballs = pack();
for (const name of readdirSync(ROOT)) {
  if (!KEPT.includes(name) && name !== "vendor" && name !== "scripts")
    rmSync(join(ROOT, name), { recursive: true, force: true });
}
for (const name of readdirSync(join(ROOT, "scripts"))) {
  if (!KEPT_SCRIPTS.includes(name)) rmSync(join(ROOT, "scripts", name));
}
editJson("package.json", (manifest) => standaloneManifest(manifest, tarballs));
// The handler of the fault table is the template's.
editJson("lab.config.json", (config) => ({
  ...config,
  faultHandler: undefined,
  $schema: `./node_modules/${LAB}/lab.config.schema.json`,
}));
const { name, description } = manifestOf(ROOT);
writeFileSync(
  join(ROOT, "README.md"),
  `# ${name}\n\n${description}\n\n- \`npm start\` runs the function through Init, Invoke and Shutdown on this machine.\n` +
    "- `npm test` checks types and style, and runs the tests.\n- `npx cdktf synth` writes Terraform's JSON, `npx cdktf deploy` deploys it.\n",
);
// Not the lock file's rest: it names the workspaces that are gone.
npm("install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline");
