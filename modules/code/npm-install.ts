import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Architecture } from "./native-code";
import { cpuOf, platformOf, platformOfAddon } from "./native-code";
import { filesBelow } from "./project-directory";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

export interface NpmInstall {
  /** Directory of the project's .npmrc, and of the cache. */
  readonly project: string;
  readonly manifest: { readonly dependencies: Readonly<Record<string, string>>; readonly overrides: unknown };
  /** Content of a package-lock.json. */
  readonly lock: object | undefined;
  readonly architecture: Architecture;
}

/**
 * @returns a directory node_modules for the function's platform. A later synthesis uses it again
 * @throws ConstructSettingsError if npm is missing or fails
 */
export function npmInstall(install: NpmInstall): string {
  const { project, manifest, lock, architecture } = install;
  const input = JSON.stringify([manifest, lock, architecture]);
  const cache = path.join(project, "node_modules/.cache/lambda-graceful-shutdown-cdktf");
  const directory = path.join(cache, createHash("sha256").update(input).digest("hex").slice(0, 32));
  if (existsSync(directory)) return directory;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(path.join(cache, "install-"));
  try {
    writeFileSync(path.join(work, "package.json"), JSON.stringify(manifest));
    if (lock !== undefined) writeFileSync(path.join(work, "package-lock.json"), JSON.stringify(lock));
    // Registries and their log-in.
    if (existsSync(path.join(project, ".npmrc"))) copyFileSync(path.join(project, ".npmrc"), path.join(work, ".npmrc"));
    const platform = ["--os=linux", `--cpu=${cpuOf(architecture)}`, "--libc=glibc"];
    const options = ["--no-save", "--prefer-offline", "--ignore-scripts", "--omit=dev", "--install-links"];
    npm(install, work, ["install", ...platform, ...options]);
    build(install, work);
    renameSync(path.join(work, "node_modules"), directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return directory;
}

/** Runs the install scripts of packages that come without native code for the platform: they download or compile it. */
function build(install: NpmInstall, work: string): void {
  const modules = path.join(work, "node_modules");
  const files = filesBelow(modules);
  const isBuilt = (directory: string): boolean =>
    files
      .filter((file) => file.startsWith(`${directory}/`) && file.endsWith(".node"))
      .some((file) => platformOfAddon(path.join(modules, file)) === platformOf(install.architecture));
  const unbuilt = files
    .filter((file) => /(^|\/node_modules\/)(@[^/]+\/)?[^/]+\/binding\.gyp$/.test(file))
    .map((file) => path.posix.dirname(file))
    .filter((directory) => !isBuilt(directory));
  if (unbuilt.length === 0) return;
  const names = unbuilt.map((directory) => directory.split("node_modules/").at(-1) ?? "");
  // npm 11 and later run the scripts of these packages only: https://docs.npmjs.com/cli/v11/using-npm/config
  const allowScripts = Object.fromEntries(names.map((name) => [name, true]));
  writeFileSync(path.join(work, "package.json"), JSON.stringify({ ...install.manifest, allowScripts }));
  npm(install, work, ["rebuild", "--ignore-scripts=false", ...names]);
}

function npm({ manifest, architecture }: NpmInstall, work: string, args: readonly string[]): void {
  // What install scripts read the platform from: prebuild-install, @mapbox/node-pre-gyp, node-gyp.
  const cpu = cpuOf(architecture);
  const targetVariables = {
    ...{ npm_config_platform: "linux", npm_config_arch: cpu },
    ...{ npm_config_target_platform: "linux", npm_config_target_arch: cpu, npm_config_target_libc: "glibc" },
  };
  const { error, status, stderr } = spawnSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: work,
    encoding: "utf8",
    env: { ...process.env, ...targetVariables, npm_config_workspace: undefined },
    // npm is a batch file there.
    shell: process.platform === "win32",
  });
  if (status === 0) return;
  const lines = error ? [] : stderr.split("\n").map((line) => line.replace(/^npm (error|ERR!) ?/, "").trim());
  const reason = lines.find((line) => line !== "" && !/^(code|syscall|path|errno|command) /.test(line));
  const text = error ? `needs npm, which cannot be started: ${error.message}` : `cannot be installed by npm: ${reason}`;
  throw new ConstructSettingsError([problem("code.install", Object.keys(manifest.dependencies), text)]);
}
