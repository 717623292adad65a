import { App, Annotations, AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import type { Loader } from "esbuild";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bundle, HANDLER, isExternal, SOURCE_MAP, type Bundle } from "./bundle";
import { copiedFiles, type CopiedPath } from "./copied-files";
import { ARCHITECTURES, type Architecture } from "../graceful-function/architecture";
import { installedPackages, type InstalledPackages } from "./installed-packages";
import { leftOutFiles } from "./left-out-files";
import { platformOf, platformOfAddon } from "./native-code";
import { projectDirectory, projectPath } from "./project-directory";
import { choiceProblems, notOneOf, problem, SettingsError } from "../terraform/settings-error";
import { typeErrors } from "./type-check";

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

const PACKAGE_NAME = /^(@[\w.~-]+\/)?[a-z\d_~-][\w.~-]*$/i;

/** Code that the synthesis checks and bundles. */
export interface CodeBundleConfig {
  /** TypeScript file that exports `handler`, relative to the directory of cdktf.json. */
  readonly entry: string;

  /**
   * Packages that are left out of the archive, because a layer or the runtime provides them or the code works without
   * them. A `*` stands for the rest of a name.
   * @default []
   */
  readonly external?: readonly string[];

  /**
   * Packages that cannot be bundled, such as native code. They are deployed as node_modules has them, with their
   * dependencies, for the function's architecture. The synthesis installs nothing itself.
   * @default []
   */
  readonly install?: readonly string[];

  /**
   * Data files and directories that are deployed beside the code.
   * @default []
   */
  readonly copy?: readonly CopiedPath[];

  /**
   * How to load an imported file, by its extension: `{ ".sql": "text" }`. The values are esbuild's loaders.
   * @default {} - esbuild's own: https://esbuild.github.io/content-types/
   */
  readonly loader?: Readonly<Record<string, Loader>>;

  /**
   * Deploy the source map, which is twice the size of the code, and add `--enable-source-maps` to NODE_OPTIONS, so that
   * stack traces name the lines of the sources.
   * @default false - the source map stays in the output of the synthesis
   */
  readonly sourceMap?: boolean;

  /**
   * "runtime" uses the AWS SDK of Lambda's runtime, in any version; "bundle" deploys the installed one.
   * @default "runtime"
   */
  readonly awsSdk?: (typeof AWS_SDKS)[number];

  /**
   * Whether the synthesis checks the types of the entry and of everything it imports, with the nearest tsconfig.json.
   * @default true
   */
  readonly typeCheck?: boolean;
}

/** What the construct knows about the code. */
export interface CodeTarget {
  /** Lambda runtime, for example `nodejs24.x`. */
  readonly runtime: string;
  /** @default "arm64" */
  readonly architecture?: Architecture;
  /**
   * Further files of the archive, next to the code: name → text.
   * @default {}
   */
  readonly files?: Readonly<Record<string, string>>;
}

/**
 * A function's code as one ES module in a staged directory. Not CommonJS: only an ES module can finish asynchronous
 * work, such as registering an extension, before the Init phase ends.
 */
export class CodeBundle extends Construct {
  /** What Lambda calls. */
  public readonly handler = `index.${HANDLER}`;
  /** The staged directory, as Terraform sees it. */
  public readonly sourceDir: string;
  /** Whether Lambda can run one of the files, such as a program of an installed package. */
  public readonly hasExecutables: boolean;
  /** Files of the staged directory that are not deployed: the source map is twice the size of the code. */
  public readonly excludes: string[];

  /**
   * @throws SettingsError if the entry is missing, does not compile or has no handler, or a file to deploy is missing.
   */
  public constructor(scope: Construct, id: string, config: CodeBundleConfig & CodeTarget) {
    super(scope, id);
    SettingsError.throwIfAny(CodeBundle.problems(config));
    this.excludes = config.sourceMap === true ? [] : [SOURCE_MAP];

    const file = projectPath(config.entry);
    const { outdir } = App.of(this);
    const copied = copiedFiles(config.copy ?? [], path.resolve(outdir));
    const installed = installedFiles(config, path.dirname(file));
    SettingsError.throwIfAny([...copied.problems, ...installed.problems]);
    const bundled = bundle({
      entry: config.entry,
      file,
      runtime: config.runtime,
      external: externals(config),
      loader: config.loader ?? {},
      sourceMap: config.sourceMap === true,
    });
    const texts = Object.entries(config.files ?? {}).map(([name, text]) => [name, Buffer.from(text)] as const);
    const files = new Map<string, string | Uint8Array>([...bundled.files, ...texts]);
    for (const [name, source] of [...installed.files, ...copied.files]) {
      if (files.has(name)) {
        throw new SettingsError([
          problem("code.copy.to", name, "is already in the archive, from the code or a package. Set another path"),
        ]);
      }
      files.set(name, source);
    }
    for (const warning of [...bundled.warnings, ...installed.warnings, ...leftOut(config, bundled, files)]) {
      Annotations.of(this).addWarning(`code.entry ${JSON.stringify(config.entry)}: ${warning}`);
    }

    const staging = path.resolve(outdir, "bundles", this.node.addr);
    rmSync(staging, { recursive: true, force: true });
    const executables = [...files].filter(([name, content]) => stage(path.join(staging, name), content));
    this.hasExecutables = executables.length > 0;
    SettingsError.throwIfAny(addonProblems(staging, [...bundled.files.keys(), ...copied.files.keys()], config));

    const asset = new TerraformAsset(this, "asset", {
      path: staging,
      type: AssetType.DIRECTORY,
      // Of what is deployed only: the path, and with it the plan, changes if and only if that does.
      assetHash: contentHash(staging, [...files.keys()].filter((name) => !this.excludes.includes(name)).sort()),
    });
    this.sourceDir = `\${path.module}/${asset.path}`;
  }

  /** What is wrong with the settings and the code; empty if nothing is. */
  public static problems(config: CodeBundleConfig): string[] {
    const { entry, external = [], install = [], loader = {}, awsSdk, typeCheck = true } = config;
    const file = projectPath(entry);
    const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
    return [
      ...external
        .filter((name) => !/^[@\w][^\\*]*\*?[^\\*]*$/.test(name))
        .map((name) =>
          problem("code.external", name, "is not the name of a package. One * may stand for the rest of a name"),
        ),
      ...install
        .filter((name) => !PACKAGE_NAME.test(name))
        .map((name) => problem("code.install", name, "is not the name of a package")),
      ...Object.keys(loader)
        .filter((extension) => !/^\.[^/\\]+$/.test(extension))
        .map((extension) => problem("code.loader", extension, "is not a file extension such as .sql")),
      ...Object.values(loader)
        .filter((each) => !LOADERS.includes(each))
        .map((each) => notOneOf("code.loader", each, LOADERS)),
      ...choiceProblems("code.awsSdk", awsSdk, AWS_SDKS),
      ...(isFile && /\.[cm]?tsx?$/.test(entry) && !/\.d\.[cm]?ts$/.test(entry)
        ? typeCheck
          ? typeErrors(file).map((error) => problem("code.entry", entry, `does not compile: ${error}`))
          : []
        : [problem("code.entry", entry, `is not a TypeScript file. Paths are relative to ${projectDirectory()}`)]),
    ];
  }

  /** The environment variables that the code asks for, together with those that are set. */
  public static environment(
    { sourceMap = false }: { readonly sourceMap?: boolean },
    environment: Readonly<Record<string, string>>,
  ): Readonly<Record<string, string>> {
    if (!sourceMap) return environment;
    const { NODE_OPTIONS = "" } = environment;
    if (NODE_OPTIONS.includes(ENABLE_SOURCE_MAPS)) return environment;
    return { ...environment, NODE_OPTIONS: `${NODE_OPTIONS} ${ENABLE_SOURCE_MAPS}`.trim() };
  }
}

/** Node.js reads a module's source map when it loads the module. Code in the module would switch it on too late. */
const ENABLE_SOURCE_MAPS = "--enable-source-maps";

function externals({ external = [], install = [], awsSdk }: CodeBundleConfig): string[] {
  return [...external, ...install, ...(awsSdk === "bundle" ? [] : RUNTIME_PACKAGES)];
}

function installedFiles(config: CodeBundleConfig & CodeTarget, from: string): InstalledPackages {
  const { install = [], architecture = "arm64" } = config;
  if (install.length === 0) return { files: new Map(), problems: [], warnings: [] };
  // Not choiceProblems: the synthesis needs the architecture itself.
  if (!ARCHITECTURES.includes(architecture)) {
    return { files: new Map(), problems: [notOneOf("architecture", architecture, ARCHITECTURES)], warnings: [] };
  }
  return installedPackages(install, from, platformOf(architecture));
}

function leftOut(config: CodeBundleConfig, { sources }: Bundle, files: ReadonlyMap<string, unknown>): string[] {
  const names = [...files.keys()];
  const isDeployed = (file: string): boolean => files.has(file) || names.some((name) => name.startsWith(`${file}/`));
  return sources.flatMap((source) => leftOutFiles(source, isDeployed, (name) => isExternal(name, externals(config))));
}

/**
 * Whether the archive runs on one architecture only: it holds installed packages, which are chosen for one, or native
 * code.
 */
export function isBoundToArchitecture({ install = [], copy = [], loader = {} }: CodeBundleConfig): boolean {
  if (install.length > 0 || ".node" in loader) return true;
  return [...copiedFiles(copy, "").files.values()].some((file) => platformOfAddon(file) !== undefined);
}

/** Native code that is deployed as a file, not as a package. */
function addonProblems(directory: string, names: readonly string[], { architecture = "arm64" }: CodeTarget): string[] {
  if (!ARCHITECTURES.includes(architecture)) return [];
  const { os, cpu, libc } = platformOf(architecture);
  return names
    .filter((name) => name.endsWith(".node"))
    .map((name) => ({ name, platform: platformOfAddon(path.join(directory, name)) ?? "another system" }))
    .filter(({ platform }) => platform !== `${os}-${cpu}-${libc}`)
    .map(({ name, platform }) =>
      problem("code", name, `is native code for ${platform}, and the function runs on ${os}-${cpu}-${libc}`),
    );
}

/** @returns whether the file can be run. */
function stage(target: string, content: string | Uint8Array): boolean {
  mkdirSync(path.dirname(target), { recursive: true });
  if (typeof content === "string") copyFileSync(content, target);
  else writeFileSync(target, content);
  const isExecutable = typeof content === "string" && (statSync(content).mode & 0o100) !== 0;
  // Fixed modes, because umask and owner differ from one checkout to the next.
  chmodSync(target, isExecutable ? 0o755 : 0o644);
  return isExecutable;
}

function contentHash(directory: string, names: readonly string[]): string {
  const hash = createHash("sha256");
  for (const name of names) {
    const file = path.join(directory, name);
    const isExecutable = (statSync(file).mode & 0o100) !== 0;
    hash
      .update(`${name}\0${isExecutable ? "x" : ""}\0`)
      .update(createHash("sha256").update(readFileSync(file)).digest());
  }
  return hash.digest("hex").slice(0, 32);
}
