/**
 * Makes a fresh clone ready, with nothing but Node.js: the project's dependencies, and what Lambda runs a function on
 * (the Node.js of the runtime and AWS's runtime client, in lab/runtimes/). What is ready is not done again.
 *
 *   node lab/setup.mjs                       for `npm start`; installs no system package
 *   node lab/setup.mjs --test                for `npm test`: CDK Terrain (__tests__/cdktn) as well, and, as root on
 *                                            Debian, missing system packages
 *   node lab/setup.mjs --runtime nodejs22.x  prepare that runtime only
 *
 * It runs before `npm ci`, so it imports Node.js itself and nothing else.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const LAB = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(LAB, "..");
const CDK_TERRAIN = join(ROOT, "__tests__/cdktn");
/** The construct's default; another is prepared when the lab reads it from the synthesized stack. */
const DEFAULT_RUNTIME = "nodejs24.x";
const MINIMUM_NODE = [20, 9];

/** What aws-lambda-ric's addon is compiled with, and the Debian package of each. */
const COMPILERS = { cmake: "cmake", make: "make", "g++": "g++", python3: "python3", xz: "xz-utils" };
const DATABASES = { mariadbd: "mariadb-server-core", mysqld: "mariadb-server-core" };
/** What can show the report to its tests. */
const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Debian keeps servers in /usr/sbin, which only root has on the PATH. */
function onPath(program) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const missingCompilers = () => Object.keys(COMPILERS).filter((program) => !onPath(program));

/** Runs a command to its end; while it runs, says that it does. Its output is shown only if it fails. */
async function step(title, command, args, options) {
  const begun = Date.now();
  const seconds = () => `${Math.round((Date.now() - begun) / 1000)} s`;
  const live = process.stderr.isTTY;
  const say = live
    ? () => process.stderr.write(`\r\u001b[K… ${title} (${seconds()})`)
    : () => process.stderr.write(`… ${title} (${seconds()})\n`);
  say();
  const ticker = setInterval(say, live ? 1_000 : 15_000);
  let output = "";
  const code = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], ...options });
    child.stdout.on("data", (text) => (output += text));
    child.stderr.on("data", (text) => (output += text));
    child.on("error", reject);
    child.on("close", resolve);
  }).finally(() => clearInterval(ticker));
  if (live) process.stderr.write("\r\u001b[K");
  process.stderr.write(`${code === 0 ? "✓" : "✗"} ${title} (${seconds()})\n`);
  if (code !== 0) throw new Error(`${title} failed: ${command} ${args.join(" ")}\n${excerpt(output)}`);
}

/** npm says first what is wrong, a compiler last. */
function excerpt(output) {
  const lines = output.trim().split("\n");
  return lines.length <= 50 ? lines.join("\n") : [...lines.slice(0, 20), "…", ...lines.slice(-30)].join("\n");
}

/** The npm that called us, so that one without npm on its PATH works too. */
function npm(title, args, options) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith(".js")
    ? step(title, process.execPath, [cli, ...args], options)
    : step(title, "npm", args, { shell: process.platform === "win32", ...options });
}

const hash = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

function readStamp(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, "node_modules", ".prepared.json"), "utf8"));
  } catch {
    return undefined;
  }
}

function writeStamp(folder, stamp) {
  writeFileSync(join(folder, "node_modules", ".prepared.json"), JSON.stringify(stamp, undefined, 2));
}

/** Installs what the lock file of a folder names. */
async function prepareDependencies(title, folder) {
  const lock = hash(join(folder, "package-lock.json"));
  if (readStamp(folder)?.lock === lock) return;
  await npm(title, ["ci", "--no-audit", "--no-fund"], { cwd: folder });
  writeStamp(folder, { lock });
}

async function prepareRuntime(runtime) {
  const folder = join(LAB, "runtimes", runtime);
  if (!existsSync(join(folder, "package.json"))) {
    throw new Error(`the lab has no runtime "${runtime}"; the ones it has are the folders of lab/runtimes`);
  }
  const lock = hash(join(folder, "package-lock.json"));
  const stamp = readStamp(folder);
  // A compiler that has been installed since is worth another try.
  if (stamp?.lock === lock && (stamp.client || missingCompilers().length > 0 || process.platform !== "linux")) return;

  const cwd = folder;
  // The scripts run later and by name: npm 11 does not run them by itself, and a failed build must not undo the rest.
  await npm(`installing Node.js for ${runtime}`, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd });
  const home = join(folder, "node_modules", `node-${process.platform}-${process.arch}`);
  const node = join(home, "bin", "node");
  const runs = existsSync(node) && spawnSync(node, ["--version"]).status === 0;
  const done = (client, why) => writeStamp(folder, { lock, node: runs ? node : process.execPath, client, why });

  const missing = missingCompilers();
  if (process.platform !== "linux") return done(false, `it does not build on ${process.platform}`);
  if (!runs) return done(false, `there is no Node.js of ${runtime} for this machine to build it with`);
  if (missing.length > 0) {
    return done(false, `${missing.join(", ")} not found; on Debian: apt-get install ${packages(COMPILERS, missing)}`);
  }
  const environment = { ...process.env, PATH: `${join(home, "bin")}${delimiter}${process.env.PATH}` };
  // node-gyp would download the headers; they are in the package that Node.js came in.
  environment.npm_config_nodedir = home;
  try {
    await npm("compiling AWS's runtime client (about 40 s)", ["rebuild", "aws-lambda-ric", "--foreground-scripts"], {
      cwd,
      env: environment,
    });
    done(true);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    done(false, "its build failed");
  }
}

const packages = (table, programs) => [...new Set(programs.map((program) => table[program]))].join(" ");

/** The tests need a real MySQL server and AWS's real client; a machine without them is told what to install. */
async function prepareSystem() {
  const server = Object.keys(DATABASES).some(onPath) || process.env.MYSQL_URL ? [] : ["mariadb-server-core"];
  const wanted = [...server, ...(process.platform === "linux" ? [packages(COMPILERS, missingCompilers())] : [])];
  const names = wanted.filter(Boolean).join(" ");
  const browser = BROWSERS.some(onPath) || process.env.CHROME_PATH ? "" : "chromium";
  const installs = process.platform === "linux" && process.getuid?.() === 0 && onPath("apt-get");
  if (names !== "" && !installs) {
    throw new Error(
      `the tests need programs that are not on this machine. Debian's names for them: ${names}\n` +
        `  Debian, Ubuntu: sudo apt-get install ${names}\n  macOS: brew install mariadb`,
    );
  }
  if (!installs || (names === "" && browser === "")) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = (...those) =>
    step(`installing ${those.join(" ")}`, "apt-get", ["install", "-y", "--no-install-recommends", ...those], { env });
  await step("reading Debian's package lists", "apt-get", ["update"], { env });
  if (names !== "") await install(...names.split(" "));
  // Without one, and without the right to install one, the tests of the report say what is not proven.
  if (browser !== "") await install(browser).catch(({ message }) => process.stderr.write(`${message}\n`));
}

async function main() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])) {
    throw new Error(`Node.js ${process.versions.node} is too old: ${MINIMUM_NODE.join(".")} or later is needed`);
  }
  if (process.platform === "win32") {
    throw new Error("Windows has no SIGTERM to catch: run this in WSL or in a Linux container");
  }
  const { values } = parseArgs({ options: { test: { type: "boolean" }, runtime: { type: "string" } } });
  if (values.runtime !== undefined) return prepareRuntime(values.runtime);
  if (values.test) await prepareSystem();
  // None waits for another: one is bound by the compiler, the others by the network.
  await Promise.all([
    prepareDependencies("installing the project's dependencies (npm ci)", ROOT),
    prepareRuntime(DEFAULT_RUNTIME),
    // Half a gigabyte, which only the tests need.
    values.test ? prepareDependencies("installing CDK Terrain for the tests", CDK_TERRAIN) : undefined,
  ]);
}

main().catch((error) => {
  process.stderr.write(`setup: ${error.message}\n`);
  process.exitCode = 1;
});
