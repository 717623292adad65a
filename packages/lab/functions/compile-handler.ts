import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { buildSync, type BuildFailure, type BuildOptions, type Metafile } from "esbuild";

type Output = Metafile["outputs"][string];

export interface Source {
  /** The directory of the user's. */
  readonly directory: string;
  /** The TypeScript file in it. */
  readonly source: string;
  /** The same without its ending, as the handler names it. */
  readonly file: string;
  /** The export that Lambda calls. */
  readonly exported: string;
  /** The directory to write to. */
  readonly into: string;
}

/**
 * Compiles a handler's TypeScript, with its packages left in the node_modules that it has.
 *
 * @returns what is wrong, or nothing
 */
export function compileHandler({ directory, source, file, exported, into }: Source): string | undefined {
  const entry = join(directory, source);
  const isModule = source.endsWith(".mts") || typeOf(directory) === "module";
  const build = (format: "cjs" | "esm"): readonly string[] | undefined => {
    const outfile = join(into, `${file}.${format === "esm" ? "mjs" : "js"}`);
    const bundle = (externals: Pick<BuildOptions, "packages" | "external">): Output | undefined => {
      const { metafile } = buildSync({
        ...{ entryPoints: [entry], outfile, format, bundle: true, platform: "node", ...externals },
        ...{ target: "node22", metafile: true, logLevel: "silent", keepNames: true, sourcemap: "inline" },
      });
      return Object.values(metafile.outputs)[0];
    };
    const output = bundle({ packages: "external" });
    const { installed, missing } = packagesOf(output, directory);
    // What looks like a package and is none may be a path of tsconfig.json, which esbuild follows if it is not external.
    if (missing.length > 0) {
      try {
        bundle({ external: [...installed] });
      } catch {
        bundle({ packages: "external" }); // It is a package that is missing, as Node.js will say.
      }
    }
    // Only of an ES module is known what it exports.
    return format === "esm" ? output?.exports : undefined;
  };
  try {
    mkdirSync(into, { recursive: true });
    const exports = isModule ? build("esm") : commonJsUnlessItAwaits(build);
    linkPackages(directory, into);
    const missing = exports !== undefined && !exports.includes(exported);
    const isEmpty = readFileSync(entry, "utf8").trim() === "";
    return missing || isEmpty ? `it exports no "${exported}"` : undefined;
  } catch (error) {
    const [first] = (error as Partial<BuildFailure>).errors ?? [];
    const at = first?.location === null || first?.location === undefined ? "" : ` (line ${first.location.line})`;
    return first === undefined ? String(error) : `${first.text}${at}`;
  }
}

/** The packages that it imports, and Lambda's own, which are missing nowhere. */
function packagesOf(
  output: Output | undefined,
  directory: string,
): { readonly installed: readonly string[]; readonly missing: readonly string[] } {
  const imported = (output?.imports ?? []).filter(({ external, path }) => external === true && !isBuiltin(path));
  const isInstalled = (path: string): boolean => {
    const name = path.split("/", path.startsWith("@") ? 2 : 1).join("/");
    return above(directory).some((folder) => existsSync(join(folder, "node_modules", name)));
  };
  const paths = imported.map(({ path }) => path);
  const installed = paths.filter((path) => isInstalled(path) || path.startsWith("@aws-sdk/"));
  return { installed, missing: paths.filter((path) => !installed.includes(path)) };
}

/** Those beside the handler, and the next ones above, where a workspace has them. */
function linkPackages(directory: string, into: string): void {
  const folders = above(directory)
    .map((each) => join(each, "node_modules"))
    .filter((each) => existsSync(each));
  for (const [index, target] of [into, dirname(into)].entries()) {
    const packages = folders[index];
    const link = join(target, "node_modules");
    if (packages !== undefined && !existsSync(link)) symlinkSync(packages, link);
  }
}

/** What to type where the lab cannot do it. */
export function compileCommand(source: string, file: string): string {
  return `npx esbuild ${source} --bundle --platform=node --target=node24 --format=cjs --outfile=dist/${file}.js`;
}

function commonJsUnlessItAwaits<T>(build: (format: "cjs" | "esm") => T): T {
  try {
    return build("cjs");
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.some(({ text }) => text.includes("Top-level await"))) return build("esm");
    throw error;
  }
}

function typeOf(directory: string): string | undefined {
  const manifest = above(directory)
    .map((each) => join(each, "package.json"))
    .find(existsSync);
  if (manifest === undefined) return undefined;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { readonly type?: string }).type;
}

function above(directory: string): readonly string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [directory, ...above(parent)];
}
