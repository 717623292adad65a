import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { shownPath } from "./project-directory";

const LITERAL = `(?:"([^"\\n]+)"|'([^'\\n]+)'|\`([^\`$\\n]+)\`)`;
const HERE = String.raw`(?:__dirname|import\.meta\.dirname)`;

/** How code names a file next to itself. */
const BESIDE = [
  new RegExp(String.raw`new URL\(\s*${LITERAL}\s*,\s*import\.meta\.url`, "g"),
  new RegExp(String.raw`${HERE}\s*,\s*${LITERAL}(?:\s*,\s*${LITERAL})?`, "g"),
  new RegExp(String.raw`${HERE}\s*\+\s*${LITERAL}`, "g"),
  new RegExp(String.raw`\$\{${HERE}\}(/[^\x60$\n]+)\x60`, "g"),
];

const OWN_REQUIRE = /(?:const|let|var)\s+(\w+)\s*=\s*[^;\n]*?\bcreateRequire\s*\(/g;

/**
 * What bundled code loads at run time and the archive does not contain, as far as the source shows:
 * a worker or a data file beside it, a package by a `require` of its own.
 *
 * @param isDeployed whether the archive has that path, relative to the code
 * @param isBrought whether a package is there at run time
 */
export function leftOutFiles(
  source: string,
  isDeployed: (file: string) => boolean,
  isBrought: (name: string) => boolean,
): string[] {
  const text = readFileSync(source, "utf8");
  const from = path.dirname(source);
  const files = BESIDE.flatMap((pattern) => [...text.matchAll(pattern)].map(([, ...parts]) => joined(parts)))
    .filter((file) => !/^[a-z][a-z\d+.-]+:/i.test(file))
    .map((file) => path.posix.normalize(file.replace(/^\/+/, "")).replace(/\/$/, ""))
    .filter((file) => file !== "." && isBeside(path.join(from, file)) && !isDeployed(file));
  const packages = [...text.matchAll(OWN_REQUIRE)]
    .flatMap(([, name]) => [...text.matchAll(new RegExp(String.raw`\b${name}\(\s*${LITERAL}\s*\)`, "g"))])
    .map(([, ...parts]) => joined(parts))
    .filter((name) => !isBuiltin(name) && !isBrought(name) && !isDeployed(path.posix.normalize(name)));
  const where = shownPath(source);
  return [
    ...new Set(
      files.map(
        (file) => `${where} reads "${file}" next to itself, and that file is not deployed. To deploy it, ${copyAdvice}`,
      ),
    ),
    ...new Set(
      packages.map(
        (name) =>
          `${where} loads "${name}" through createRequire, which the bundler does not follow. Instead, ${advice(name)}`,
      ),
    ),
  ];
}

const copyAdvice = "copy it with code.copy, or install the package with code.install";

function advice(name: string): string {
  return name.startsWith(".") ? "import it, or copy it with code.copy" : "import it, or install it with code.install";
}

function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join("/");
}

/** Code often names a worker by its compiled file. */
function isBeside(file: string): boolean {
  const sources = [".ts", ".mts", ".cts"].map((extension) => file.replace(/\.[cm]?js$/, extension));
  return [file, ...sources].some((each) => existsSync(each));
}
