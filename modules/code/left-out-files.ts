import { existsSync, readFileSync } from "node:fs";
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

const OWN_REQUIRE = /(?:const|let|var)\s+(\w+)\s*=[^;\n]*\bcreateRequire\s*\(/g;

/**
 * Warns of what bundled code loads at run time and the archive does not contain, as far as the source shows.
 *
 * @param packageName of the source; undefined for the project's own code
 * @param isDeployed whether the archive has a path, relative to the code
 * @param isProvided whether a package is there at run time
 */
export function leftOutFiles(
  source: string,
  packageName: string | undefined,
  isDeployed: (file: string) => boolean,
  isProvided: (name: string) => boolean,
): string[] {
  const text = readFileSync(source, "utf8");
  const beside = BESIDE.flatMap((pattern) => [...text.matchAll(pattern)]).map(([, ...parts]) =>
    path.posix.join(...parts.filter((part) => typeof part === "string")),
  );
  const required = [...text.matchAll(OWN_REQUIRE)].flatMap(([, name = ""]) =>
    [...text.matchAll(new RegExp(String.raw`\b${name}\(\s*${LITERAL}`, "g"))].map(([, each = ""]) => each),
  );
  const files = [...beside, ...required.filter((name) => name.startsWith("."))].map((file) =>
    path.posix.normalize(file).replace(/^\/+|\/$/g, ""),
  );
  const packages = required.filter((name) => !name.startsWith(".") && !isProvided(name));
  return [
    ...[...new Set(files)]
      .filter((file) => !/^\.?$/.test(file) && !isDeployed(file))
      .flatMap((file) => fileWarnings(source, file, packageName)),
    ...packages.map(
      (name) =>
        `${shownPath(source)} loads "${name}" through createRequire, which is not deployed. Import it, or add it to code.install`,
    ),
  ];
}

function fileWarnings(source: string, name: string, packageName: string | undefined): string[] {
  const wanted = path.join(path.dirname(source), name);
  // Code often names a worker by its compiled file.
  const places = [wanted, ...[".ts", ".mts", ".cts"].map((extension) => wanted.replace(/\.[cm]?js$/, extension))];
  const file = places.find((each) => existsSync(each));
  if (file === undefined) return [];
  const copy = `set code.copy to [{ from: "${shownPath(file)}", to: "${name}" }]`;
  const advice = packageName === undefined ? copy : `${copy}, or add "${packageName}" to code.install`;
  return [`${shownPath(source)} reads "${name}" next to itself, which is not deployed. To deploy it, ${advice}`];
}
