import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { LambdaLayerVersion } from "@cdktf/provider-aws/lib/lambda-layer-version";
import { AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { archiveDirectory } from "../code/archive-directory";
import { filesBelow, projectDirectory, projectPath } from "../code/project-directory";
import { optional, optionProblems, read, type OptionTable } from "../terraform/option-table";
import { addOutput, pathName } from "../terraform/path-name";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

/** The exec wrapper of the layer, a shell script. */
const WRAPPER = "graceful-shutdown";

/** What a layer for `attachShutdown` has at least. */
const FILES = ["lambda-graceful-shutdown/attach.mjs", WRAPPER];

export interface ShutdownLayerConfig {
  /** @default "graceful-shutdown" */
  readonly layerName?: string;

  /**
   * Directory or zip that `npm run layer` writes.
   *
   * Relative to the directory of cdktf.json.
   * @default "dist/layer"
   */
  readonly content?: string;
}

const OPTIONS: OptionTable<ShutdownLayerConfig> = { layerName: optional("text"), content: read(optional("text")) };

/**
 * The layer that closes a function's connections at shutdown, without a change of its code.
 *
 * @example
 * const layer = new ShutdownLayer(stack, "shutdown-layer");
 * attachShutdown(stack, { layerArn: layer.arn });
 */
export class ShutdownLayer extends Construct {
  /** ARN of the layer's version. */
  public readonly arn: string;
  public readonly resource: LambdaLayerVersion;

  /** @throws ConstructSettingsError if the content is missing. */
  public constructor(scope: Construct, id: string, config: ShutdownLayerConfig = {}) {
    super(scope, id);
    ConstructSettingsError.throwIfAny(optionProblems(config, OPTIONS), this);
    const { layerName = "graceful-shutdown", content = "dist/layer" } = config;
    ConstructSettingsError.throwIfAny(contentProblems(content), this);
    const file = projectPath(content);
    // Not compatibleRuntimes: version 5 of the provider does not know nodejs24.x.
    this.resource = new LambdaLayerVersion(this, "version", {
      layerName,
      description: "Closes the connections of a Node.js function when Lambda ends its environment",
      ...(statSync(file).isDirectory() ? this.zipOf(file) : this.zipFile(file)),
      // A function moves to the new version before the old one is deleted.
      lifecycle: { createBeforeDestroy: true },
    });
    this.arn = this.resource.arn;
    addOutput(this, "arn", "ARN of the layer's version", this.arn);
  }

  private zipOf(directory: string): { filename: string; sourceCodeHash: string } {
    const files = new Map(filesBelow(directory).map((name) => [name, path.join(directory, name)]));
    const zip = new DataArchiveFile(this, "zip", {
      type: "zip",
      sourceDir: archiveDirectory(this, files, WRAPPER).sourceDir,
      outputPath: `\${path.module}/${pathName(this)}.zip`,
    });
    return { filename: zip.outputPath, sourceCodeHash: zip.outputBase64Sha256 };
  }

  private zipFile(file: string): { filename: string; sourceCodeHash: string } {
    const asset = new TerraformAsset(this, "asset", { path: file, type: AssetType.FILE });
    const sourceCodeHash = createHash("sha256").update(readFileSync(file)).digest("base64");
    return { filename: `\${path.module}/${asset.path}`, sourceCodeHash };
  }
}

function contentProblems(content: string): string[] {
  const file = projectPath(content);
  const stats = statSync(file, { throwIfNoEntry: false });
  const run = "Run npm run layer, which writes dist/layer and dist/layer.zip";
  if (stats === undefined) {
    return [problem("content", content, `does not exist. ${run}. Paths are relative to ${projectDirectory()}`)];
  }
  if (stats.isFile()) {
    const isZip = readFileSync(file).subarray(0, 2).toString() === "PK";
    return isZip ? [] : [problem("content", content, `is neither a directory nor a zip. ${run}`)];
  }
  const names = filesBelow(file);
  return FILES.filter((name) => !names.includes(name)).map((name) =>
    problem("content", content, `has no file ${name}. ${run}`),
  );
}
