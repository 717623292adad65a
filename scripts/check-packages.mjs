/**
 * Packs each published package and checks the tarball as its users meet it: publint for package.json, attw for the types.
 * A tarball that passed once is not checked again.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publishedPackages } from "./workspaces.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const STAMP = join(ROOT, "node_modules/.cache/checked-packages");

const run = promisify(execFile);
const bin = (name) => join(ROOT, "node_modules/.bin", name);

/**
 * A preload with top-level await cannot be required, and attw would report that. So an entry without the condition
 * `require` is checked for ES modules only.
 */
function onlyForImport(exports) {
  return Object.keys(exports).filter(
    (name) => name !== "." && exports[name].import !== undefined && exports[name].require === undefined,
  );
}

async function check(folder, tarball) {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const excluded = onlyForImport(exports).map((name) => name.replace("./", ""));
  const attw = [tarball, "--profile", "node16", "--no-emoji"];
  if (excluded.length > 0) attw.push("--exclude-entrypoints", ...excluded);
  const runs = [run(bin("publint"), ["--strict", tarball], { cwd: ROOT }), run(bin("attw"), attw, { cwd: ROOT })];
  const failed = (await Promise.allSettled(runs)).filter(({ status }) => status === "rejected");
  for (const { reason } of failed) process.stderr.write(`${reason.stdout}${reason.stderr}`);
  return failed.length === 0;
}

const folders = publishedPackages();
const scratch = mkdtempSync(join(tmpdir(), "check-packages-"));
try {
  const args = ["pack", "--json", "--pack-destination", scratch, ...folders.flatMap((folder) => ["-w", folder])];
  const packed = Object.values(JSON.parse(execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" })));
  const integrity = packed.map((each) => each.integrity).join("\n");
  if (!existsSync(STAMP) || readFileSync(STAMP, "utf8") !== integrity) {
    const results = await Promise.all(
      folders.map((folder, index) => check(folder, join(scratch, packed[index].filename))),
    );
    if (results.includes(false)) process.exitCode = 1;
    else {
      mkdirSync(dirname(STAMP), { recursive: true });
      writeFileSync(STAMP, integrity);
    }
  }
} finally {
  rmSync(scratch, { recursive: true });
}
