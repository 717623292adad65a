import { AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { problem, SettingsError } from "./settings-error";

/** In the order in which Lambda's runtime looks for them. */
const MODULE_EXTENSIONS = ["", ".js", ".mjs", ".cjs"];

export interface CodeDirectoryConfig {
  /** Directory with the code and its node_modules, relative to the directory of cdktf.json. */
  readonly directory: string;
  /** What Lambda calls: file without its extension, a dot, name of the export. */
  readonly handler: string;
}

/** A function's code as it lies in a directory: somebody else has built it, or it needs no building. */
export class CodeDirectory extends Construct {
  public readonly handler: string;
  /** The staged copy, as Terraform sees it. */
  public readonly sourceDir: string;
  /** Files of the directory that are not deployed. */
  public readonly excludes: string[] = [];

  /** @throws SettingsError if the directory or the handler's file is missing. */
  public constructor(scope: Construct, id: string, config: CodeDirectoryConfig) {
    super(scope, id);
    SettingsError.throwIfAny(CodeDirectory.problems(config));
    this.handler = config.handler;
    const asset = new TerraformAsset(this, "asset", {
      path: path.resolve(config.directory),
      type: AssetType.DIRECTORY,
      assetHash: contentHash(config.directory),
    });
    this.sourceDir = `\${path.module}/${asset.path}`;
  }

  /** What is wrong with a directory; empty if nothing is. */
  public static problems({ directory, handler }: CodeDirectoryConfig): string[] {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
      return [problem("code.directory", directory, `is not a directory, as seen from ${process.cwd()}`)];
    }
    if (!path.relative(path.resolve(directory), process.cwd()).startsWith("..")) {
      return [
        problem("code.directory", directory, "holds the project itself, and with it the output of the synthesis"),
      ];
    }
    const [, file] = /^((?:.*\/)?[^./]+)\.[\w.]+$/.exec(handler) ?? [];
    if (file === undefined) {
      return [problem("code.handler", handler, "is not of the form <file without extension>.<name of the export>")];
    }
    const candidates = MODULE_EXTENSIONS.map((extension) => path.join(directory, file + extension));
    return candidates.some((each) => statSync(each, { throwIfNoEntry: false })?.isFile() === true)
      ? []
      : [problem("code.handler", handler, `has no file: there is none of ${candidates.slice(1).join(", ")}`)];
  }
}

/** Of names and contents only: the path, and with it the plan, changes if and only if the code does. */
function contentHash(directory: string): string {
  const hash = createHash("sha256");
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  for (const name of names) {
    const file = path.join(directory, name);
    if (statSync(file).isFile())
      hash.update(`${name}\0`).update(createHash("sha256").update(readFileSync(file)).digest());
  }
  return hash.digest("hex").slice(0, 32);
}
