import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { platformInName, platformOfAddon, runsOn, type Platform } from "./native-code";
import { directoriesUpward, shownPath } from "./project-directory";
import { problem } from "../terraform/settings-error";

const SETTING = "code.install";

/** The fields of a package.json that are used here. */
interface Manifest {
  readonly version?: string;
  readonly os?: unknown;
  readonly cpu?: unknown;
  readonly libc?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean } | undefined>>;
}

/** A package and where it is put. */
interface Placement {
  readonly name: string;
  /** Where it is installed, symbolic links resolved. */
  readonly source: string;
  /** Relative to the archive, `node_modules/a/node_modules/b`. */
  readonly target: string;
  readonly manifest: Manifest;
}

export interface InstalledPackages {
  /** Path in the archive → file on this machine. */
  readonly files: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * The files of packages and of all that they depend on, in the versions that are installed for the project: those for
 * the function's platform, on any machine. Makes no request to a registry.
 *
 * @param names the packages
 * @param from directory of the code that imports them
 */
export function installedPackages(names: readonly string[], from: string, platform: Platform): InstalledPackages {
  return new PackageTree(from, platform).add(names);
}

class PackageTree {
  private readonly placements = new Map<string, Placement>();
  private readonly problems: string[] = [];
  private readonly warnings: string[] = [];
  /** Packages for the function's platform that are not installed, with their versions. */
  private readonly missing = new Map<string, string>();

  public constructor(
    private readonly from: string,
    private readonly platform: Platform,
  ) {}

  public add(names: readonly string[]): InstalledPackages {
    // Breadth first: a directory node_modules is complete before anything in it looks for its own dependencies.
    const queue: Placement[] = [];
    for (const name of names) {
      const source = installedIn(name, this.from);
      if (source === undefined) {
        const where = `is not installed where ${shownPath(this.from) || "."} could import it. Run npm install ${name}`;
        this.problems.push(problem(SETTING, name, where));
      } else {
        this.place(name, source, "", queue);
      }
    }
    for (let next = queue.shift(); next; next = queue.shift()) this.placeDependencies(next, queue);
    const files = new Map<string, string>();
    for (const placement of this.placements.values()) this.addFiles(placement, files);
    if (this.missing.size > 0) this.problems.push(this.missingProblem());
    return { files, problems: this.problems, warnings: this.warnings };
  }

  private placeDependencies(placement: Placement, queue: Placement[]): void {
    const { manifest, source, target } = placement;
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
    for (const [name, version] of Object.entries({ ...peerDependencies, ...dependencies, ...optionalDependencies })) {
      const installed = installedIn(name, source);
      const isOptional = name in optionalDependencies;
      if (installed !== undefined) {
        if (runsOn(this.platform, manifestOf(installed))) this.place(name, installed, target, queue);
        else if (!isOptional) this.problems.push(this.wrongPlatform(name, installed));
      } else if (isOptional) {
        this.missingOptional(name, version, placement);
      } else if (name in dependencies || peerDependenciesMeta[name]?.optional !== true) {
        const of = `needs ${name}@${version}, which is not installed. Run npm install`;
        this.problems.push(problem(SETTING, placement.name, of));
      }
    }
  }

  /** Puts a package where its dependant finds it, and where it does not hide another package's own version. */
  private place(name: string, source: string, dependant: string, queue: Placement[]): void {
    const visible = this.visibleFrom(dependant, name);
    if (visible?.source === source) return;
    const target = visible ? `${dependant}/node_modules/${name}`.replace(/^\//, "") : `node_modules/${name}`;
    const placement = { name, source, target, manifest: manifestOf(source) };
    this.placements.set(target, placement);
    queue.push(placement);
  }

  /** As Node.js looks a package up. */
  private visibleFrom(target: string, name: string): Placement | undefined {
    const own = this.placements.get(target === "" ? `node_modules/${name}` : `${target}/node_modules/${name}`);
    if (own || target === "") return own;
    const nested = target.lastIndexOf("/node_modules/");
    return this.visibleFrom(nested < 0 ? "" : target.slice(0, nested), name);
  }

  private missingOptional(name: string, version: string, { source, name: dependant }: Placement): void {
    const named = platformInName(name);
    const fields = { ...named, ...this.lockedFields(name, source) };
    const isNative = fields.os !== undefined || fields.cpu !== undefined || fields.libc !== undefined;
    if (!runsOn(this.platform, fields)) return;
    if (isNative) this.missing.set(name, version);
    else this.warnings.push(`${SETTING}: ${dependant} can use ${name}, which is not installed and so not deployed`);
  }

  /** The entry of a package in npm's lock file, whether it is installed or not. */
  private lockedFields(name: string, source: string): Pick<Manifest, "os" | "cpu" | "libc"> {
    for (const directory of directoriesUpward(source)) {
      try {
        const lock = JSON.parse(readFileSync(path.join(directory, "package-lock.json"), "utf8")) as {
          readonly packages?: Readonly<Record<string, Manifest>>;
        };
        const inside = path.relative(directory, source).replaceAll(path.sep, "/");
        const found = lock.packages?.[`${inside}/node_modules/${name}`] ?? lock.packages?.[`node_modules/${name}`];
        const { os, cpu, libc } = found ?? {};
        return { ...(os ? { os } : {}), ...(cpu ? { cpu } : {}), ...(libc ? { libc } : {}) };
      } catch {
        continue;
      }
    }
    return {};
  }

  private missingProblem(): string {
    const { os, cpu, libc } = this.platform;
    const packages = [...this.missing].map(([name, version]) => `${name}@${version}`).sort();
    // npm prunes by these options: it would remove esbuild's own binary for this machine as well.
    const flags = `npm install --os=${os} --cpu=${cpu} --libc=${libc}`;
    // --force, since the packages are not for this machine; --no-save, since package.json asks for them already.
    const command = `npm install --no-save --force ${packages.join(" ")}`;
    const advice = `${command} (keeps this machine's own packages, which ${flags} removes)`;
    return problem(SETTING, [...this.missing.keys()].sort(), `are not installed for ${os}, ${cpu}, ${libc}: ${advice}`);
  }

  private wrongPlatform(name: string, source: string): string {
    const { os, cpu, libc } = this.platform;
    const where = `in ${shownPath(source)} is not for ${os}, ${cpu}, ${libc}, the function's platform`;
    return problem(SETTING, name, where);
  }

  private addFiles({ name, source, target, manifest }: Placement, files: Map<string, string>): void {
    if (!runsOn(this.platform, manifest)) this.problems.push(this.wrongPlatform(name, source));
    const addons: string[] = [];
    for (const file of packageFiles(source)) {
      files.set(`${target}/${file}`, path.join(source, file));
      if (file.endsWith(".node")) addons.push(path.join(source, file));
    }
    const { os, cpu, libc } = this.platform;
    const wanted = `${os}-${cpu}-${libc}`;
    const found = addons.map((addon) => platformOfAddon(addon) ?? "another system");
    if (found.includes(wanted)) return;
    if (addons.length > 0) {
      const built = `holds native code for ${[...new Set(found)].join(", ")} only`;
      this.problems.push(
        problem(SETTING, name, `${built}, and the function runs on ${wanted}. To fix it, ${this.rebuild(name)}`),
      );
    } else if (existsSync(path.join(source, "binding.gyp"))) {
      this.problems.push(
        problem(SETTING, name, `holds native code that has not been built. To fix it, ${this.rebuild(name)}`),
      );
    }
  }

  private rebuild(name: string): string {
    const { os, cpu } = this.platform;
    return `run npm rebuild ${name} on ${os}, ${cpu} with glibc, for example in a container, and synthesize there`;
  }
}

/** Where a package is that code in a directory can import. */
function installedIn(name: string, from: string): string | undefined {
  const places = directoriesUpward(from)
    .filter((directory) => path.basename(directory) !== "node_modules")
    .map((directory) => path.join(directory, "node_modules", name));
  const found = places.find((place) => existsSync(path.join(place, "package.json")));
  return found === undefined ? undefined : realpathSync(found);
}

function manifestOf(directory: string): Manifest {
  return JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8")) as Manifest;
}

/** All files but those of the packages inside, which are placed on their own. */
function packageFiles(directory: string): string[] {
  const left = new Set(["node_modules", ".git"]);
  return readdirSync(directory)
    .filter((name) => !left.has(name))
    .flatMap((name) => filesBelow(directory, name))
    .sort();
}

/** Paths relative to the directory, symbolic links followed. */
export function filesBelow(directory: string, name: string, above: readonly string[] = []): string[] {
  const place = path.join(directory, name);
  const stats = statSync(place, { throwIfNoEntry: false });
  if (stats?.isFile() === true) return [name];
  const real = stats?.isDirectory() === true ? realpathSync(place) : undefined;
  // A link to a directory above it would never end.
  if (real === undefined || above.includes(real)) return [];
  return readdirSync(place).flatMap((each) => filesBelow(directory, `${name}/${each}`, [...above, real]));
}
