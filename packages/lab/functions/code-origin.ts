import { existsSync, readFileSync, realpathSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { CodePosition } from "../lambda/environment-process";
import type { LambdaFunction } from "../lambda/lambda-function";

/** Whose code made a call, as its stack tells. */
export interface CodeOrigin {
  /** File and line of the function's own code, such as `orders/db.js:2`. @default - no call of its own was on the stack */
  readonly place?: string;
  /** The file is an ES module; where there is no {@link place}, the handler's file. */
  readonly isModule: boolean;
  /** Packages of npm between the call and {@link place}, the innermost first, such as `mysql2 3.24.6`. */
  readonly packages: readonly string[];
}

const MODULES = `node_modules${sep}`;
const SOURCE_MAP = "//# sourceMappingURL=";
const LAB_CLIENT = join(__dirname, "../lambda") + sep;

/** @param stack innermost call first */
export function codeOrigin(
  stack: readonly CodePosition[],
  { directory, handler }: Pick<LambdaFunction, "directory" | "handler">,
): CodeOrigin {
  const root = realpathSync(directory);
  const calls = stack.map((position) => original(position, root));
  const own = calls.findIndex(({ file }) => isOwn(file, root));
  const before = own === -1 ? calls : calls.slice(0, own);
  const packages = [...new Set(before.flatMap(({ file }) => packageOf(file, root) ?? []))];
  const call = calls[own];
  if (call === undefined) return { isModule: isModuleHandler({ directory, handler }), packages };
  return { place: `${shown(call.file, root)}:${call.line}`, isModule: isModule(call.file), packages };
}

/** The package that called, else the place in the function's own code. */
export function callerOf({ place = "its code", packages: [caller = place] }: CodeOrigin): string {
  return caller;
}

/** Whether the handler's own file is an ES module. @param handler as Lambda names it, such as `src/index.handler` */
export function isModuleHandler({ directory, handler }: Pick<LambdaFunction, "directory" | "handler">): boolean {
  const base = join(directory, handler.slice(0, handler.lastIndexOf(".")));
  const file = [".js", ".mjs", ".cjs"].map((ending) => base + ending).find((path) => existsSync(path));
  return file !== undefined && isModule(file);
}

/** Of the function, and neither of a package nor of a runtime client. */
function isOwn(file: string, root: string): boolean {
  const isClient = file.startsWith(LAB_CLIENT) || file.startsWith("/var/runtime/");
  return !isClient && packageName(file, root) === undefined;
}

/** A handler may itself stand below a node_modules. */
function inside(file: string, root: string): string {
  return file.startsWith(root + sep) ? file.slice(root.length + 1) : file;
}

function shown(file: string, root: string): string {
  return file.startsWith(root + sep) ? relative(root, file) : relative(process.cwd(), file);
}

/** Folders of tools, such as node_modules/.cache, are no packages. */
function packageName(file: string, root: string): string | undefined {
  const path = inside(file, root);
  const at = path.lastIndexOf(MODULES);
  if (at === -1) return undefined;
  const parts = path.slice(at + MODULES.length).split(sep);
  const name = parts.slice(0, parts[0]?.startsWith("@") === true ? 2 : 1).join("/");
  return name.startsWith(".") ? undefined : name;
}

/** With its version. AWS's client is not one of the function's packages. */
function packageOf(file: string, root: string): string | undefined {
  const name = packageName(file, root);
  if (name === undefined || name === "aws-lambda-ric") return undefined;
  const manifest = join(file.slice(0, file.lastIndexOf(MODULES) + MODULES.length), name, "package.json");
  const { version } = readJson(manifest);
  return version === undefined ? name : `${name} ${version}`;
}

/** What the source map of a bundle or of compiled TypeScript says of a position. */
function original({ file: url, line, column }: CodePosition, root: string): Pick<CodePosition, "file" | "line"> {
  const file = url.startsWith("file:") ? fileURLToPath(url) : url;
  // Sources of a package are not installed with it.
  const map = isOwn(file, root) ? sourceMapOf(file) : undefined;
  const entry = map?.findEntry(line - 1, column - 1);
  return entry !== undefined && "originalSource" in entry
    ? { file: resolve(dirname(file), entry.originalSource), line: entry.originalLine + 1 }
    : { file, line };
}

function sourceMapOf(file: string): SourceMap | undefined {
  try {
    const text = readFileSync(file, "utf8");
    const at = text.lastIndexOf(SOURCE_MAP);
    if (at === -1) return undefined;
    const [url = ""] = text.slice(at + SOURCE_MAP.length).split("\n");
    const json = url.startsWith("data:")
      ? Buffer.from(url.slice(url.indexOf(",") + 1), "base64").toString()
      : readFileSync(resolve(dirname(file), url.trim()), "utf8");
    return new SourceMap(JSON.parse(json) as SourceMapPayload);
  } catch {
    return undefined; // the file is gone, or its map is not there or not JSON
  }
}

/** As Node.js decides: by the ending, else by the nearest package.json. TypeScript is written with import. */
function isModule(file: string): boolean {
  const ending = extname(file);
  if (ending !== ".js") return ending !== ".cjs" && ending !== ".cts";
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest)) return readJson(manifest).type === "module";
    if (folder === dirname(folder)) return false;
  }
}

function readJson(file: string): { readonly type?: string; readonly version?: string } {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as { readonly type?: string; readonly version?: string };
  } catch {
    return {};
  }
}
