import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { shownPath } from "./project-directory";

const LITERAL = `["'\`]([^"'\`$\\n]+)["'\`]`;

/** How code names a file next to itself; WebAssembly by its name alone, as compilers write it. */
const BESIDE = [
  new RegExp(String.raw`new URL\(\s*${LITERAL}\s*,\s*import\.meta\.url`, "g"),
  new RegExp(String.raw`(?:__dirname|import\.meta\.dirname)\s*[,+]\s*${LITERAL}(?:\s*,\s*${LITERAL})?`, "g"),
  /\$\{(?:__dirname|import\.meta\.dirname)\}([^`$\n]+)`/g,
  /["'`]([^"'`$\n]+\.wasm)["'`]/g,
];

/**
 * Warns of files that bundled code reads at run time and the archive does not contain, as far as the source shows.
 *
 * @param packageName of the source; undefined for the project's own code
 * @param isDeployed whether the archive has a path, relative to the code
 */
export function leftOutFiles(
  source: string,
  packageName: string | undefined,
  isDeployed: (file: string) => boolean,
): string[] {
  return namesBeside(source).flatMap((name) => {
    const wanted = path.join(path.dirname(source), name);
    // Code often names a worker by its compiled file.
    const places = [wanted, ...[".ts", ".mts", ".cts"].map((extension) => wanted.replace(/\.[cm]?js$/, extension))];
    const file = places.find((each) => existsSync(each));
    if (file === undefined || /^\.?$/.test(name) || isDeployed(name)) return [];
    const copy = `set code.copy to [{ from: "${shownPath(file)}", to: "${name}" }]`;
    const advice = packageName === undefined ? copy : `${copy}, or add "${packageName}" to code.install`;
    return [`${shownPath(source)} reads "${name}" next to itself, which is not deployed. To deploy it, ${advice}`];
  });
}

/** By source: the functions of an app have the same dependencies. */
const known = new Map<string, { readonly modified: number; readonly names: readonly string[] }>();

function namesBeside(source: string): readonly string[] {
  const { mtimeMs: modified } = statSync(source);
  const earlier = known.get(source);
  if (earlier?.modified === modified) return earlier.names;
  const text = readFileSync(source, "utf8");
  const names = BESIDE.flatMap((pattern) => [...text.matchAll(pattern)])
    .map(([, ...parts]) => path.posix.join(...parts.filter((part) => typeof part === "string")))
    .map((name) => name.replace(/^\/+|\/$/g, ""));
  const found = { modified, names: [...new Set(names)] };
  known.set(source, found);
  return found.names;
}
