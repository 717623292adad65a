/**
 * Prepares what Lambda runs a function on: the Node.js of a runtime and AWS's runtime client, as the lock file of
 * lab/lambda/runtimes/<runtime> names them. Does nothing if that is done.
 *
 *   node lab/lambda/prepare-runtime.mjs nodejs24.x
 *
 * Writes the folder with the runtime's node_modules to standard output, and progress to standard error. It runs before
 * the lab's own packages are there, so it imports Node.js and nothing else.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const RUNTIMES = fileURLToPath(new URL("runtimes/", import.meta.url));

/** What aws-lambda-ric's addon is compiled with, and the Debian package of each. */
const COMPILERS = { cmake: "cmake", make: "make", "g++": "g++", python3: "python3", xz: "xz-utils" };

const [runtime = ""] = process.argv.slice(2);
try {
  process.stdout.write(`${prepare()}\n`);
} catch (error) {
  process.stderr.write(`runtime ${runtime}: ${error.message}\n`);
  process.exitCode = 1;
}

function prepare() {
  const known = readdirSync(RUNTIMES);
  if (!known.includes(runtime)) {
    throw new Error(`the lab has no runtime "${runtime}", expected one of ${known.join(", ")}`);
  }
  const lockFile = join(RUNTIMES, runtime, "package-lock.json");
  const lock = createHash("sha256").update(readFileSync(lockFile)).digest("hex");
  const folder = placeFor(lock);
  const stampFile = join(folder, "node_modules", ".prepared.json");
  const stamp = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, "utf8")) : undefined;
  const missing = Object.keys(COMPILERS).filter((program) => !isOnPath(program));
  // If a compiler was installed later, the build is tried again.
  const canCompile = process.platform === "linux" && missing.length === 0;
  const isThere = stamp !== undefined && existsSync(resolve(folder, "node_modules", stamp.node));
  if (isThere && stamp.lock === lock && (stamp.client || !canCompile)) return folder;

  install(folder);
  const home = join(folder, "node_modules", `node-${process.platform}-${process.arch}`);
  const node = join(home, "bin", "node");
  const runs = existsSync(node) && spawnSync(node, ["--version"]).status === 0;
  const why = whyNotBuilt(missing, runs) ?? build(folder, home);
  const path = runs ? relative(join(folder, "node_modules"), node) : process.execPath;
  writeFileSync(stampFile, JSON.stringify({ lock, node: path, client: why === undefined, why }));
  const without = why === undefined ? "" : `, without AWS's client: ${why}`;
  process.stderr.write(`✓ ${runtime} is ready${without}\n`);
  return folder;
}

function install(folder) {
  process.stderr.write(`… installing Node.js for ${runtime} (about 190 MB)\n`);
  // The scripts run later and by name: npm 11 does not run them by itself, and a failed build must not undo the rest.
  const { status, output } = npm(folder, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  if (status === 0) return;
  const [said = output.trim().split("\n", 1)[0]] =
    /(?<=^npm (error|ERR!) ).*(failed|refused|not found).*/im.exec(output) ?? [];
  throw new Error(`npm ci failed in ${folder} (${said}); connect to npm's registry, then start the lab again`);
}

/** @returns undefined if AWS's client can be built here */
function whyNotBuilt(missing, runs) {
  if (process.platform !== "linux") return `it does not build on ${process.platform}`;
  if (!runs) return `there is no Node.js of ${runtime} for this machine to build it with`;
  if (missing.length === 0) return undefined;
  const packages = missing.map((program) => COMPILERS[program]).join(" ");
  return `${missing.join(", ")} not found; on Debian: apt-get install ${packages}`;
}

/** @returns why it failed */
function build(folder, home) {
  process.stderr.write("… compiling AWS's runtime client (it takes minutes)\n");
  const client = join(folder, "node_modules", "aws-lambda-ric");
  const separate = `${client}-addon`;
  const addon = existsSync(separate) ? separate : client;
  const { status, output } = npm(folder, ["rebuild", basename(addon), "--foreground-scripts"], {
    PATH: `${join(home, "bin")}${delimiter}${process.env.PATH}`,
    // node-gyp would download the headers; they are in the package that Node.js came in.
    npm_config_nodedir: home,
  });
  if (status !== 0) {
    // A compiler says last what is wrong.
    process.stderr.write(`${output.trim().split("\n").slice(-15).join("\n")}\n`);
    return "its build failed";
  }
  // aws-lambda-ric 3 needs autotools to build, so its JavaScript gets the addon of version 4, which has the same
  // calls.
  if (addon === separate) copyFileSync(join(addon, "rapid-client.node"), join(client, "dist", "rapid-client.node"));
  return undefined;
}

/**
 * Beside the lock file in a checkout; where the lab is an installed package, a cache that outlives the next install.
 */
function placeFor(lock) {
  const source = join(RUNTIMES, runtime);
  if (!RUNTIMES.includes(`${sep}node_modules${sep}`)) return source;
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = join(cache, "lambda-shutdown-lab", `${runtime}-${lock.slice(0, 12)}`);
  mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(source, file), join(folder, file));
  return folder;
}

/** The npm that called us, so that a machine without npm on its PATH works too. */
function npm(cwd, args, environment = {}) {
  const cli = process.env.npm_execpath;
  const [command, all] = cli?.endsWith(".js") ? [process.execPath, [cli, ...args]] : ["npm", args];
  const options = { cwd, env: { ...process.env, ...environment }, encoding: "utf8", maxBuffer: 2 ** 28 };
  const { status, stdout, stderr, error } = spawnSync(command, all, options);
  return { status, output: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}` };
}

function isOnPath(program) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
