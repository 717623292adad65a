import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { directoriesUpward } from "./project-directory";

/** One file of a chain of `extends`. */
interface TsconfigFile {
  readonly file: string;
  readonly compilerOptions: Readonly<Record<string, unknown>>;
}

/**
 * The tsconfig.json nearest to a source file, as TypeScript's compiler and esbuild look for it, and the files that it
 * extends. https://www.typescriptlang.org/tsconfig/#extends
 */
export class Tsconfig {
  /** The first has precedence. */
  private readonly chain: readonly TsconfigFile[];

  private constructor(public readonly file: string) {
    this.chain = chainOf(file, []);
  }

  /**
   * @param source an absolute path
   * @throws Error with the name of a file that is not JSON or cannot be found
   */
  public static nearestTo(source: string): Tsconfig | undefined {
    const candidates = directoriesUpward(path.dirname(source)).map((each) => path.join(each, "tsconfig.json"));
    const file = candidates.find((each) => existsSync(each));
    return file === undefined ? undefined : new Tsconfig(file);
  }

  /** Every file that decides on an option. */
  public get files(): string[] {
    return this.chain.map(({ file }) => file);
  }

  /** What an option is set to. */
  public option(name: string): unknown {
    return this.definingFile(name)?.compilerOptions[name];
  }

  /** A list of paths, absolute. */
  public paths(name: string): string[] | undefined {
    const defining = this.definingFile(name);
    const value = defining?.compilerOptions[name];
    if (!defining || !Array.isArray(value)) return undefined;
    return value.map((each) => path.resolve(path.dirname(defining.file), this.withConfigDir(String(each))));
  }

  /**
   * The options that name paths by `${configDir}`, the directory of the file that extends all others, absolute: a
   * further file that extends this one would change them.
   */
  public configDirOptions(): Record<string, unknown> {
    const names = ["baseUrl", "paths", "rootDirs", "typeRoots"];
    const options = names.map((name) => [name, this.definingFile(name)] as const);
    return Object.fromEntries(
      options
        .filter(([name, defining]) => JSON.stringify(defining?.compilerOptions[name] ?? null).includes(CONFIG_DIR))
        .map(([name, defining]) => [name, this.absolute(defining?.compilerOptions[name], this.baseOf(name))]),
    );
  }

  /** What the relative paths of an option are relative to. */
  private baseOf(name: string): string {
    const baseUrl = this.option("baseUrl");
    if (name === "paths" && typeof baseUrl === "string") {
      return path.resolve(this.baseOf("baseUrl"), this.withConfigDir(baseUrl));
    }
    return path.dirname(this.definingFile(name)?.file ?? this.file);
  }

  private absolute(value: unknown, base: string): unknown {
    if (typeof value === "string") return path.resolve(base, this.withConfigDir(value));
    if (Array.isArray(value)) return value.map((each) => this.absolute(each, base));
    const entries = Object.entries(value ?? {}).map(([name, each]) => [name, this.absolute(each, base)] as const);
    return Object.fromEntries(entries);
  }

  private withConfigDir(text: string): string {
    return text.replaceAll(CONFIG_DIR, path.dirname(this.file));
  }

  private definingFile(name: string): TsconfigFile | undefined {
    return this.chain.find(({ compilerOptions }) => compilerOptions[name] !== undefined);
  }
}

const CONFIG_DIR = "${configDir}";

function chainOf(file: string, extending: readonly string[]): TsconfigFile[] {
  if (extending.includes(file)) throw new Error(`${file} extends itself through "extends"`);
  const content = parse(file);
  const { compilerOptions, extends: bases = [] } = content as {
    readonly compilerOptions?: TsconfigFile["compilerOptions"];
    readonly extends?: string | readonly string[];
  };
  // Of several bases the last has precedence.
  const inherited = [bases]
    .flat()
    .reverse()
    .flatMap((base) => chainOf(resolveBase(base, file), [...extending, file]));
  return [{ file, compilerOptions: compilerOptions ?? {} }, ...inherited];
}

function resolveBase(base: string, from: string): string {
  const isPath = /^\.{0,2}\//.test(base) || path.isAbsolute(base);
  const start = isPath ? path.resolve(path.dirname(from), base) : base;
  const candidates = [start, `${start}.json`, `${start}/tsconfig.json`];
  for (const candidate of candidates) {
    try {
      const found = isPath ? candidate : createRequire(from).resolve(candidate);
      if (existsSync(found) && found.endsWith(".json")) return found;
    } catch {
      continue;
    }
  }
  throw new Error(`${from} extends ${JSON.stringify(base)}, which does not exist`);
}

/** JSON with comments and trailing commas, as TypeScript reads it. */
function parse(file: string): unknown {
  const text = readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  const string = `"(?:\\\\.|[^"\\\\])*"`;
  const withoutComments = text.replaceAll(new RegExp(`(${string})|//[^\\n]*|/\\*[^]*?\\*/`, "g"), "$1");
  const json = withoutComments.replaceAll(new RegExp(`(${string})|,(?=\\s*[}\\]])`, "g"), "$1");
  try {
    return json.trim() === "" ? {} : JSON.parse(json);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}
