import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import type { Architecture } from "./native-code";
import { npmInstall } from "./npm-install";
import { directoriesUpward, filesBelow, projectDirectory, shownPath } from "./project-directory";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

export const PRISMA = "@prisma/client";

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
 * @throws ConstructSettingsError if a package is missing, or if npm fails
 */
export function installedPackages(
  names: readonly string[],
  from: string,
  architecture: Architecture,
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
    const ownLock = lock?.packages ? { ...lock, packages: { ...lock.packages, "": manifest } } : lock;
    addFiles(files, npmInstall({ project, manifest, lock: ownLock, architecture }), "node_modules");
  }
  return files;
}

/** Where a package is that code in a directory can import. */
export function installedIn(name: string, from: string): string {
  const places = directoriesUpward(from).map((directory) => path.join(directory, "node_modules", name));
  const found = places.find((place) => existsSync(path.join(place, "package.json")));
  if (found !== undefined) return realpathSync(found);
  const text = `is not installed where ${shownPath(from) || "."} could import it. Run npm install ${name}`;
  throw new ConstructSettingsError([problem("code.install", name, text)]);
}

/** As npm reads it: https://docs.npmjs.com/cli/configuring-npm/package-json#dependencies */
function versionOf(name: string, entry: Manifest, directory: string, project: string): string {
  const { version = "", resolved = "", name: real = name } = entry;
  if (!directory.includes("node_modules")) return `file:${directory}`;
  if (resolved.startsWith("file:")) return `file:${path.resolve(project, resolved.slice("file:".length))}`;
  if (resolved.startsWith("git")) return resolved;
  return real === name ? version : `npm:${real}@${version}`;
}

function addFiles(files: Map<string, string>, directory: string, target: string): void {
  for (const name of filesBelow(directory)) {
    // npm's notes and links to programs differ from one version of npm to the next, and nothing imports them.
    if (!/(^|\/)(\.bin\/|\.package-lock\.json$)/.test(name)) files.set(`${target}/${name}`, path.join(directory, name));
  }
}

function readJson<T extends object>(file: string): Partial<T> {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as T) : {};
}

/** Prisma's words for Lambda's platforms: https://www.prisma.io/docs/orm/reference/prisma-schema-reference#binarytargets-options */
const BINARY_TARGETS: Readonly<Record<Architecture, string>> = {
  arm64: "linux-arm64-openssl-3.0.x",
  x86_64: "rhel-openssl-3.0.x",
};

const ENGINE = /^client\/(?:lib)?query_engine-/;

/**
 * Files of the client that `prisma generate` has written beside `@prisma/client`, by their path in the archive.
 *
 * @param directory of `@prisma/client`
 * @returns undefined if the client is not generated
 * @throws ConstructSettingsError if the client has engines, and none is for the platform
 */
export function prismaClient(directory: string, architecture: Architecture): ReadonlyMap<string, string> | undefined {
  const generated = path.join(directory, "../../.prisma");
  if (!existsSync(path.join(generated, "client/schema.prisma"))) return undefined;
  const target = BINARY_TARGETS[architecture];
  const names = filesBelow(generated);
  const engines = names.filter((name) => ENGINE.test(name));
  if (engines.length > 0 && !engines.some((name) => name.includes(target))) {
    const text = `has a generated client without an engine for ${architecture}. Set binaryTargets = ["native", "${target}"] in schema.prisma and run npx prisma generate`;
    throw new ConstructSettingsError([problem("code.install", PRISMA, text)]);
  }
  const deployed = names.filter((name) => !ENGINE.test(name) || name.includes(target));
  return new Map(deployed.map((name) => [`node_modules/.prisma/${name}`, path.join(generated, name)]));
}
