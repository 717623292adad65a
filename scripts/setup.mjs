/**
 * Sets up a fresh clone with only Node.js installed. It does not repeat finished steps.
 *
 *   node scripts/setup.mjs           for synthesis, and for the lab where there is one
 *   node scripts/setup.mjs --test    for `npm test`: the lab's tests also need a database server, compilers and a
 * browser.
 *                                    As root on Debian it installs them, elsewhere it says what to install.
 *   node scripts/setup.mjs --no-runtime   for synthesis only: the lab's runtime is left out
 *
 * It runs before `npm ci`, so it imports Node.js itself and nothing else.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const HAS_LAB = existsSync(join(ROOT, "packages/lab/package.json"));
/** The construct's default. The lab prepares another when the synthesized stack names it. */
const DEFAULT_RUNTIME = "nodejs24.x";
/** cdktf-cli runs Terraform in it. package.json replaces cdktf's own, which has no binary for Node.js 23 and later. */
const TERMINAL = "@cdktf/node-pty-prebuilt-multiarch";

/**
 * What an installation takes on the disk. Tests compare it with `du`. devDependencies, which only `npm test` needs, are
 * the tools of the checks and the libraries that the lab's tests take as subjects.
 */
const MEGABYTES = { template: 740, withLab: 770, withTests: 1_210, runtime: 210 };
/** Seconds in which a user at a terminal can stop a large installation. */
const PAUSE_SECONDS = 3;

/** Programs that the lab's tests need, and the Debian package of each; one of a line is enough. */
const PROGRAMS = [
  { anyOf: ["mariadbd", "mysqld"], package: "mariadb-server-core", unless: "MYSQL_URL" },
  // Debian's postgres is in a directory of its version; pg_ctlcluster comes with it.
  { anyOf: ["postgres", "pg_ctlcluster"], package: "postgresql" },
  { anyOf: ["redis-server"], package: "redis-server" },
  { anyOf: ["cmake"], package: "cmake", linux: true },
  { anyOf: ["make"], package: "make", linux: true },
  { anyOf: ["g++"], package: "g++", linux: true },
  { anyOf: ["python3"], package: "python3", linux: true },
  { anyOf: ["xz"], package: "xz-utils", linux: true },
];
const BROWSER = {
  anyOf: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
  package: "chromium",
  unless: "CHROME_PATH",
};

/** Debian keeps servers in /usr/sbin, which only root has on the PATH. */
function isOnPath(program) {
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

function isMissing({ anyOf, unless, linux }) {
  if (linux && process.platform !== "linux") return false;
  return !anyOf.some(isOnPath) && !process.env[unless ?? ""];
}

/** Runs a command to its end and says that it runs. Its output is shown only if it fails. */
async function step(title, command, args, options) {
  const begun = Date.now();
  const live = process.stderr.isTTY;
  const line = (mark) => `${live ? "\r\u001b[K" : ""}${mark} ${title} (${Math.round((Date.now() - begun) / 1000)} s)`;
  const say = () => process.stderr.write(`${line("…")}${live ? "" : "\n"}`);
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
  process.stderr.write(`${line(code === 0 ? "✓" : "✗")}\n`);
  const tail = output.trim().split("\n").slice(-50).join("\n");
  if (code !== 0) throw new Error(`${title} failed: ${command} ${args.join(" ")}\n${tail}`);
}

/** The npm that called us, so that a machine without npm on its PATH works too. */
function npm(title, args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith(".js") ? step(title, process.execPath, [cli, ...args]) : step(title, "npm", args);
}

const STAMP = join(ROOT, "node_modules/.prepared");
const FOR_TESTS = process.argv.includes("--test");
const RUNTIME = join(ROOT, "packages/lab/lambda/runtimes", DEFAULT_RUNTIME, "node_modules/.prepared.json");
const WANTS_RUNTIME = HAS_LAB && !process.argv.includes("--no-runtime");

const lock = () =>
  createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");

/** The lock file's hash, and what was installed of it: all, or what `npm start` needs. */
const [installedLock, installedExtent = "all"] = existsSync(STAMP) ? readFileSync(STAMP, "utf8").split(" ") : [];

const hasDependencies = () => installedLock === lock() && (installedExtent === "all" || !FOR_TESTS);

function megabytesToInstall() {
  const packages = FOR_TESTS && HAS_LAB ? MEGABYTES.withTests : HAS_LAB ? MEGABYTES.withLab : MEGABYTES.template;
  const isFirst = !hasDependencies() && !existsSync(join(ROOT, "node_modules/.package-lock.json"));
  return (isFirst ? packages : 0) + (WANTS_RUNTIME && !existsSync(RUNTIME) ? MEGABYTES.runtime : 0);
}

/** Says how much a first installation takes. At a terminal, there is time to stop it. */
async function announce() {
  const megabytes = megabytesToInstall();
  if (megabytes === 0) return;
  const pause = process.stderr.isTTY ? `, begins in ${PAUSE_SECONDS} s (Ctrl-C stops it)` : "";
  process.stderr.write(`set-up installs ${megabytes} MB into this folder, and nothing elsewhere${pause}\n`);
  if (process.stderr.isTTY) await new Promise((resolve) => setTimeout(resolve, PAUSE_SECONDS * 1_000));
}

/**
 * Installs what the lock file names. Where something is installed already, `npm install` adds what is new and leaves
 * the rest; `npm ci` would begin by deleting everything. Install scripts are not run: each package has a binary for
 * Linux in its tarball, and npm 10 would start node-gyp for some.
 */
async function prepareDependencies() {
  if (hasDependencies()) return;
  const isFirst = !existsSync(join(ROOT, "node_modules/.package-lock.json"));
  // A full installation stays full.
  const extent = FOR_TESTS || (!isFirst && installedExtent === "all") ? "all" : "start";
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", ...(extent === "start" ? ["--omit=dev"] : [])];
  if (isFirst) await npm("installing the dependencies", ["ci", "--prefer-offline", ...options]);
  else await npm("installing what is new in package-lock.json", ["install", ...options]);
  // Its tarball has binaries for Linux only. Elsewhere its install script downloads one.
  if (process.platform !== "linux") await npm("fetching cdktf's terminal", ["rebuild", TERMINAL]);
  writeFileSync(STAMP, `${lock()} ${extent}`);
}

async function prepareRuntime() {
  const args = [join(ROOT, "packages/lab/lambda/prepare-runtime.mjs"), DEFAULT_RUNTIME];
  if (existsSync(RUNTIME)) {
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return;
  }
  const what = `${DEFAULT_RUNTIME}, Node.js and AWS's runtime client`;
  await step(`preparing ${what}`, process.execPath, args);
}

/** Debian starts a server that it installs, unless this file forbids it. The tests start their own. */
const POLICY = "/usr/sbin/policy-rc.d";

async function withoutServices(install) {
  if (existsSync(POLICY)) return install();
  writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  return install().finally(() => rmSync(POLICY));
}

/** The lab's tests need real programs. If they are missing, the error names what to install. */
async function prepareSystem() {
  const missing = PROGRAMS.filter(isMissing).map((program) => program.package);
  const installs = process.platform === "linux" && process.getuid?.() === 0 && isOnPath("apt-get");
  if (missing.length > 0 && !installs) {
    throw new Error(
      `the tests need programs that are not on this machine. Debian's names for them: ${missing.join(" ")}\n` +
        `  Debian, Ubuntu: sudo apt-get install ${missing.join(" ")}\n  macOS: brew install mariadb postgresql redis`,
    );
  }
  const wantsBrowser = isMissing(BROWSER);
  if (!installs || (missing.length === 0 && !wantsBrowser)) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = (...names) =>
    withoutServices(() =>
      step(`installing ${names.join(" ")}`, "apt-get", ["install", "-y", "--no-install-recommends", ...names], { env }),
    );
  await step("reading Debian's package lists", "apt-get", ["update"], { env });
  if (missing.length > 0) await install(...missing);
  // Without a browser, the report's tests say what they do not prove.
  if (wantsBrowser) await install(BROWSER.package).catch(({ message }) => process.stderr.write(`${message}\n`));
}

async function main() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [leastMajor, leastMinor] = engines.node.replace(">=", "").split(".").map(Number);
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    throw new Error(`Node.js ${process.versions.node} is too old: ${leastMajor}.${leastMinor} or later is needed`);
  }
  if (process.platform === "win32") {
    throw new Error("Windows has no SIGTERM to catch: run this in WSL or in a Linux container");
  }
  await announce();
  if (HAS_LAB && FOR_TESTS) await prepareSystem();
  // Side by side: one step waits for the network, the other for the compiler.
  await Promise.all([prepareDependencies(), WANTS_RUNTIME ? prepareRuntime() : undefined]);
}

main().catch((error) => {
  process.stderr.write(`set-up: ${error.message}\n`);
  process.exitCode = 1;
});
