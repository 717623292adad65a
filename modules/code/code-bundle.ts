import { App, Annotations } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import type { Loader } from "esbuild";
import { statSync } from "node:fs";
import path from "node:path";
import type { ArchiveFiles } from "./archive-directory";
import { bundle, type Bundle, type BundleSettings } from "./bundle";
import { COPIED_PATH, copiedFiles, type CopiedPath } from "./copied-files";
import { installedIn, installedPackages, PRISMA, prismaClient } from "./installed-packages";
import { addonProblems, ARCHITECTURES, type Architecture } from "./native-code";
import { projectDirectory, projectPath } from "./project-directory";
import { notOneOf, problem, ConstructSettingsError } from "../terraform/construct-settings-error";
import { optional, read, required, type OptionTable } from "../terraform/option-table";

/**
 * Packages in Lambda's runtimes. The second one is a dependency of the first:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html
 */
const RUNTIME_PACKAGES = ["@aws-sdk/*", "@smithy/*"];

const AWS_SDKS = ["runtime", "bundle"] as const;

/** What esbuild can do with a file: https://esbuild.github.io/content-types/ */
const LOADERS: readonly Loader[] = [
  ...(["base64", "binary", "copy", "css", "dataurl", "default", "empty", "file", "js", "json"] as const),
  ...(["jsx", "local-css", "text", "ts", "tsx"] as const),
];

/** Node.js reads a module's source map when it loads the module. Code in the module would switch it on too late. */
const ENABLE_SOURCE_MAPS = "--enable-source-maps";

const PACKAGE_NAME = /^(@[\w.~-]+\/)?[a-z\d_~-][\w.~-]*$/i;

/** Code that the synthesis bundles. */
export interface CodeBundleConfig {
  /**
   * TypeScript file that exports `handler`.
   *
   * Relative to the directory of cdktf.json.
   */
  readonly entry: string;

  /**
   * Packages to leave out, such as `@acme/*`.
   *
   * A `*` stands for the rest of a name.
   * @default []
   */
  readonly external?: readonly string[];

  /**
   * Packages that cannot be bundled, such as native code.
   *
   * npm installs them for the function's architecture, in the versions of package-lock.json.
   * @default []
   */
  readonly install?: readonly string[];

  /**
   * Files to deploy beside the code.
   * @default []
   */
  readonly copy?: readonly CopiedPath[];

  /**
   * esbuild's loader for an extension: `{ ".sql": "text" }`.
   * @default {} - https://esbuild.github.io/content-types/
   */
  readonly loader?: Readonly<Record<string, Loader>>;

  /**
   * Deploy the source map, twice the code's size, for stack traces.
   *
   * It also sets `--enable-source-maps`.
   * @default false
   */
  readonly sourceMap?: boolean;

  /**
   * "runtime" uses Lambda's, in any version; "bundle" deploys the installed one.
   * @default "runtime"
   */
  readonly awsSdk?: (typeof AWS_SDKS)[number];
}

export const CODE_BUNDLE: OptionTable<CodeBundleConfig> = {
  entry: read(required("text")),
  external: read(optional("list")),
  install: read(optional("list")),
  copy: optional("list", () => COPIED_PATH),
  loader: read(optional("map")),
  sourceMap: read(optional("boolean")),
  awsSdk: read(optional(AWS_SDKS)),
};

/** What the construct knows about the code. */
export interface CodeTarget {
  /** Lambda runtime, for example `nodejs24.x`. */
  readonly runtime: string;
  readonly architecture: Architecture;
  /** Further files of the archive, next to the code: name → text. */
  readonly files: Readonly<Record<string, string>>;
}

/** Problems of the settings. */
export function codeBundleProblems(config: CodeBundleConfig): string[] {
  const { entry, external = [], install = [], loader = {} } = config;
  const isFile = statSync(projectPath(entry), { throwIfNoEntry: false })?.isFile() === true;
  const isTypeScript = /\.[cm]?tsx?$/.test(entry) && !/\.d\.[cm]?ts$/.test(entry);
  const wrong = (setting: string, values: readonly string[], isRight: (value: string) => boolean, text: string) =>
    values.filter((value) => !isRight(value)).map((value) => problem(`code.${setting}`, value, text));
  const isPattern = (name: string): boolean => /^[@\w][^\\]*$/.test(name) && name.split("*").length <= 2;
  const pattern = "is not the name of a package. One * may stand for the rest of a name";
  return [
    ...wrong("external", external, isPattern, pattern),
    ...wrong("install", install, (name) => PACKAGE_NAME.test(name), "is not the name of a package"),
    ...wrong("loader", Object.keys(loader), (each) => /^\.[^/\\]+$/.test(each), "is not a file extension such as .sql"),
    ...Object.values(loader)
      .filter((each) => !LOADERS.includes(each))
      .map((each) => notOneOf("code.loader", each, LOADERS)),
    ...wrong(
      "entry",
      [entry],
      () => isFile && isTypeScript,
      `is not a TypeScript file. Paths are relative to ${projectDirectory()}`,
    ),
  ];
}

/**
 * A function's code as one ES module, and the files beside it. Not CommonJS: only an ES module can finish asynchronous
 * work, such as registering an extension, before the Init phase ends.
 *
 * @param scope gets the warnings
 * @throws ConstructSettingsError if the entry does not compile or has no handler, or a file to deploy is missing
 */
export function codeBundleFiles(scope: Construct, config: CodeBundleConfig & CodeTarget): ArchiveFiles {
  const { entry, copy = [], architecture } = config;
  const bundled = bundleOnce(scope.node.root, config);
  const copied = copiedFiles(copy, path.resolve(App.of(scope).outdir));
  const installed = installedFiles(config, bundled);
  const files = new Map<string, string | Uint8Array>(bundled.files);
  // The same bytes in each checkout, with Windows' line ends too.
  for (const [name, text] of Object.entries(config.files)) files.set(name, Buffer.from(text.replaceAll("\r\n", "\n")));
  for (const [name, source] of [...installed.files, ...copied]) {
    if (files.has(name)) throw new ConstructSettingsError([problem("code.copy.to", name, ALREADY_THERE)]);
    files.set(name, source);
  }
  // Only Terraform knows a token.
  if (ARCHITECTURES.includes(architecture)) {
    ConstructSettingsError.throwIfAny([
      ...addonProblems("code.install", installed.files, architecture),
      ...addonProblems("code", new Map<string, string | Uint8Array>([...bundled.files, ...copied]), architecture),
    ]);
  }
  const names = [...files.keys()];
  const isDeployed = (file: string): boolean => files.has(file) || names.some((name) => name.startsWith(`${file}/`));
  for (const warning of [...bundled.warnings, ...installed.warnings, ...bundled.leftOut(isDeployed)]) {
    Annotations.of(scope).addWarning(`code.entry ${JSON.stringify(entry)}: ${warning}`);
  }
  return files;
}

/** The environment variables that are set, and those that the code asks for. */
export function codeBundleEnvironment(
  { sourceMap = false }: CodeBundleConfig,
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { NODE_OPTIONS = "" } = environment;
  if (!sourceMap || NODE_OPTIONS.includes(ENABLE_SOURCE_MAPS)) return environment;
  return { ...environment, NODE_OPTIONS: `${NODE_OPTIONS} ${ENABLE_SOURCE_MAPS}`.trim() };
}

const ALREADY_THERE = "is already in the archive, from the code or a package. Set another path";

/** By the app, whose synthesis is over before a source changes. */
const bundles = new WeakMap<IConstruct, Map<string, Bundle>>();

/** Many functions of one entry cost one bundle. */
function bundleOnce(app: IConstruct, config: CodeBundleConfig & CodeTarget): Bundle {
  const { entry, external = [], install = [], awsSdk, runtime, loader = {}, sourceMap = false } = config;
  const packages = [...external, ...install, ...(awsSdk === "bundle" ? [] : RUNTIME_PACKAGES)];
  const settings: BundleSettings = { entry, file: projectPath(entry), runtime, external: packages, loader, sourceMap };
  const known = bundles.get(app) ?? new Map<string, Bundle>();
  bundles.set(app, known);
  const key = JSON.stringify(settings);
  const bundled = known.get(key) ?? bundle(settings);
  known.set(key, bundled);
  return bundled;
}

/** What `install` adds to the archive. */
function installedFiles(
  { entry, install = [], architecture }: CodeBundleConfig & CodeTarget,
  { imports }: Bundle,
): { readonly files: ReadonlyMap<string, string>; readonly warnings: readonly string[] } {
  if (install.length === 0) return { files: new Map(), warnings: [] };
  // A token has passed the checks, and npm needs the architecture itself.
  if (!ARCHITECTURES.includes(architecture)) {
    throw new ConstructSettingsError([notOneOf("architecture", architecture, ARCHITECTURES)]);
  }
  const from = path.dirname(projectPath(entry));
  const files = installedPackages(install, from, architecture);
  if (!imports.includes(PRISMA) || !install.includes(PRISMA)) return { files, warnings: [] };
  const client = prismaClient(installedIn(PRISMA, from), architecture);
  const warning = `${PRISMA} has no generated client, so none is deployed. Run npx prisma generate`;
  return { files: new Map([...files, ...(client ?? [])]), warnings: client ? [] : [warning] };
}
