import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import type { Architecture } from "../graceful-function/architecture";
import { filesBelow } from "./directory-files";
import { cpuOf, optionalPackages, platformOf, platformOfAddon } from "./native-code";
import { npmInstall, type NpmInstall } from "./npm-install";
import { directoriesUpward, projectDirectory, shownPath } from "./project-directory";
import { problem, SettingsError } from "../terraform/settings-error";

const SETTING = "code.install";

/** The fields of a package.json, or of an entry in npm's lock file, that are used here. */
interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly resolved?: string;
  readonly overrides?: object;
}

interface Lock {
  readonly packages?: Readonly<Record<string, Manifest>>;
}

/**
 * Files of packages and of their dependencies, by their path in the archive. npm installs them for the function's
 * platform, in the versions of package-lock.json.
 *
 * @param from directory of the code that imports the packages
 * @throws SettingsError if a package is missing, or has no native code for the platform
 */
export function installedPackages(
  names: readonly string[],
  from: string,
  target: Pick<NpmInstall, "architecture" | "runtime">,
): ReadonlyMap<string, string> {
  const isLocked = (directory: string): boolean => existsSync(path.join(directory, "package-lock.json"));
  const project = directoriesUpward(from).find(isLocked) ?? projectDirectory();
  const lock = isLocked(project) ? readJson<Lock>(path.join(project, "package-lock.json")) : undefined;
  const files = new Map<string, string>();
  const dependencies: Record<string, string> = {};
  for (const name of names) {
    const directory = installedIn(name, from);
    const entry = lock?.packages
      ? lock.packages[path.relative(project, directory).replaceAll(path.sep, "/")]
      : readJson<Manifest>(path.join(directory, "package.json"));
    if (entry?.version !== undefined) dependencies[name] = versionOf(name, entry, directory, project);
    // A generated package, such as a client of Prisma, is in no registry.
    else addFiles(files, directory, `node_modules/${name}`);
  }
  if (Object.keys(dependencies).length > 0) {
    const { overrides } = readJson<Manifest>(path.join(project, "package.json"));
    const manifest = { dependencies, overrides };
    addFiles(
      files,
      npmInstall({ project, manifest, lock: lock && lockFrom(lock, project, from), ...target }),
      "node_modules",
    );
  }
  SettingsError.throwIfAny([
    ...addonProblems(files, target.architecture),
    ...optionalProblems(files, target.architecture),
  ]);
  return files;
}

/** Where a package is that code in a directory can import. */
export function installedIn(name: string, from: string): string {
  const places = directoriesUpward(from).map((directory) => path.join(directory, "node_modules", name));
  const found = places.find((place) => existsSync(path.join(place, "package.json")));
  if (found !== undefined) return realpathSync(found);
  const text = `is not installed where ${shownPath(from) || "."} could import it. Run npm install ${name}`;
  throw new SettingsError([problem(SETTING, name, text)]);
}

/** As npm reads it: https://docs.npmjs.com/cli/configuring-npm/package-json#dependencies */
function versionOf(name: string, entry: Manifest, directory: string, project: string): string {
  const { version = "", resolved = "", name: real = name } = entry;
  if (!directory.includes("node_modules")) return `file:${directory}`;
  if (/^(file:|git)/.test(resolved)) return absolute(resolved, project);
  return real === name ? version : `npm:${real}@${version}`;
}

function absolute(resolved: string, project: string): string {
  return resolved.replace(/^file:(.*)/, (_, file: string) => `file:${path.resolve(project, file)}`);
}

/** The lock file as code in a directory sees it: packages beside a workspace come before those of the project. */
function lockFrom(lock: Lock, project: string, from: string): Lock {
  if (!lock.packages) return lock;
  const packages: Record<string, Manifest> = {};
  for (const directory of directoriesUpward(from).reverse()) {
    const modules = `${path.relative(project, path.join(directory, "node_modules")).replaceAll(path.sep, "/")}/`;
    for (const [key, entry] of Object.entries(lock.packages).filter(([each]) => each.startsWith(modules))) {
      const { resolved } = entry;
      packages[`node_modules/${key.slice(modules.length)}`] = resolved
        ? { ...entry, resolved: absolute(resolved, project) }
        : entry;
    }
  }
  return { ...lock, packages };
}

function addFiles(files: Map<string, string>, directory: string, target: string): void {
  for (const name of filesBelow(directory, () => undefined)) {
    // npm's notes and links to programs differ from one version of npm to the next, and nothing imports them.
    if (!/(^|\/)(\.bin\/|\.package-lock\.json$)/.test(name)) files.set(`${target}/${name}`, path.join(directory, name));
  }
}

/** Packages whose native code is for other platforms only. */
function addonProblems(files: ReadonlyMap<string, string>, architecture: Architecture): string[] {
  const platform = platformOf(architecture);
  const found = new Map<string, Set<string>>();
  for (const [name, file] of files) {
    const [, packageName] = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\/.*\.node$/.exec(name) ?? [];
    if (packageName === undefined) continue;
    found.set(packageName, (found.get(packageName) ?? new Set()).add(platformOfAddon(file) ?? "another system"));
  }
  const text = `only, and the function runs on ${platform}. Synthesize on such a machine, for example in a container`;
  return [...found]
    .filter(([, platforms]) => !platforms.has(platform))
    .map(([name, platforms]) => problem(SETTING, name, `has native code for ${[...platforms].join(", ")} ${text}`));
}

/** Packages whose native code is in optional packages, of which npm has left out the one for the platform. */
function optionalProblems(files: ReadonlyMap<string, string>, architecture: Architecture): string[] {
  return [...files]
    .filter(([name]) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(name))
    .flatMap(([name, file]) => {
      const fitting = optionalPackages(path.dirname(file)).filter(
        (each) => /linux(?!.*musl)/.test(each) && each.includes(cpuOf(architecture)),
      );
      if (fitting.length === 0 || fitting.some((each) => files.has(`node_modules/${each}/package.json`))) return [];
      // https://github.com/npm/cli/issues/4828
      const text = `needs ${fitting.join(" or ")}, which npm did not install. Delete node_modules and package-lock.json and run npm install`;
      return [problem(SETTING, path.posix.dirname(name.slice(name.lastIndexOf("node_modules/") + 13)), text)];
    });
}

function readJson<T extends object>(file: string): Partial<T> {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as T) : {};
}
