import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const ROOT = join(__dirname, "../../..");
const SETUP = join(ROOT, "scripts/setup.mjs");

function run(program: string, args: readonly string[], env = process.env) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env });
  return { status, stdout, stderr };
}

const scratch = mkdtempSync(join(tmpdir(), "setup-"));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

test("finished steps are not repeated: no command runs, nothing is printed", () => {
  expect(run(SETUP, ["--test"])).toEqual({ status: 0, stdout: "", stderr: "" });
});

const HAS_LAB = existsSync(join(ROOT, "packages/lab"));

/** What a project without packages/lab and `npm start` install, packages/bench/project/fork measures. */
if (HAS_LAB) {
  test.each([
    ["withTests", "node_modules"],
    ["runtime", "packages/lab/lambda/runtimes/nodejs24.x/node_modules"],
  ])("the set-up tells what %s takes on the disk", (part, folder) => {
    const [, told = ""] = new RegExp(`${part}: ([\\d_]+)`).exec(readFileSync(SETUP, "utf8")) ?? [];
    const command = ["-sm", "--exclude=.cache", `${join(ROOT, folder)}/`];
    const [taken] = execFileSync("du", command, { encoding: "utf8" }).split("\t");
    const share = Number(told.replace("_", "")) / Number(taken);
    expect({ told, taken, isRight: share > 0.8 && share < 1.2 }).toMatchObject({ isRight: true });
  });
}

/** The set-up of a project with a lab, where the dependencies are installed and the runtime is not prepared. */
function setupOfProject(node: string, ...args: readonly string[]) {
  const project = mkdtempSync(join(scratch, "project-"));
  for (const folder of ["scripts", "packages/lab", "node_modules"])
    mkdirSync(join(project, folder), { recursive: true });
  cpSync(SETUP, join(project, "scripts/setup.mjs"));
  const files = { "package.json": { engines: { node } }, "package-lock.json": {}, "packages/lab/package.json": {} };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(project, name), JSON.stringify(content));
  writeFileSync(join(project, "node_modules/.prepared"), createHash("sha256").update("{}").digest("hex"));
  return run(join(project, "scripts/setup.mjs"), args);
}

test("the set-up refuses a Node.js that is older than package.json asks for", () => {
  const stderr = `set-up: Node.js ${process.versions.node} is too old: 99.1 or later is needed\n`;
  expect(setupOfProject(">=99.1.0", "--no-runtime")).toMatchObject({ status: 1, stderr });
});

test("the set-up leaves out the lab's runtime where it is not needed", () => {
  expect(setupOfProject(">=20.0.0", "--no-runtime")).toMatchObject({ status: 0, stderr: "" });
  const { status, stderr } = setupOfProject(">=20.0.0");
  expect(status).toBe(1);
  expect(stderr).toContain("preparing nodejs24.x");
});

const PROGRAMS = "cmake make g++ python3 xz mariadbd mysqld postgres pg_ctlcluster redis-server".split(" ");
const APT_GET =
  '#!/bin/sh\necho "$@" >>"$APT_LOG"\ncase "$*" in *"$REFUSED"*) echo "E: no $REFUSED here"; exit 100;; esac';

/** Setting up a machine that has no browser; what is asked of its apt-get, a fake. */
function setupWithoutBrowser(refused: string) {
  const machine = mkdtempSync(join(scratch, "bin-"));
  for (const name of PROGRAMS) {
    const found = (process.env["PATH"] ?? "").split(delimiter).find((folder) => existsSync(join(folder, name)));
    symlinkSync(join(found ?? "/nowhere", name), join(machine, name));
  }
  writeFileSync(join(machine, "apt-get"), APT_GET, { mode: 0o755 });
  const log = join(machine, "log");
  const env = { PATH: machine, APT_LOG: log, REFUSED: refused };
  return { ...run(SETUP, ["--test"], env), asked: existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [] };
}

const INSTALL = "install -y --no-install-recommends chromium";
// Without a lab, there is no report to show.
const mayInstall = HAS_LAB && process.platform === "linux" && process.getuid?.() === 0;

test("a user who may install a browser for the report's tests gets one, and others are not stopped", () => {
  const { status, asked } = setupWithoutBrowser("nothing");
  expect({ status, asked }).toEqual({ status: 0, asked: mayInstall ? ["update", INSTALL] : [] });
});

test("a browser that cannot be installed is reported, and does not stop the other tests", () => {
  const { status, stderr } = setupWithoutBrowser("chromium");
  expect(status).toBe(0);
  expect(stderr.includes("E: no chromium here")).toBe(mayInstall);
});

test("a command of a deleted folder says so, and names what works without it", () => {
  const { status, stderr } = run(join(ROOT, "scripts/run.mjs"), ["packages/deleted/cli/program.ts"]);
  expect(status).toBe(1);
  expect(stderr).toContain("needs the folder packages/deleted/, and this project has none");
});
