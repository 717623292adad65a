import { App, AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { platformOfAddon } from "./native-code";
import { isInside, projectDirectory, projectPath } from "./project-directory";
import { problem, SettingsError } from "../terraform/settings-error";

/** In the order in which Lambda's runtime looks for them. */
const MODULE_EXTENSIONS = ["", ".js", ".mjs", ".cjs"];

export interface CodeDirectoryConfig {
  /** Directory with the code and its node_modules, relative to the directory of cdktf.json. */
  readonly directory: string;
  /** What Lambda calls: file without its extension, a dot, name of the export. */
  readonly handler: string;
}

/** A function's code from a directory, for code that is already built or needs no build. */
export class CodeDirectory extends Construct {
  public readonly handler: string;
  /** The staged copy, as Terraform sees it. */
  public readonly sourceDir: string;
  /** Whether Lambda can run one of the files, such as a program or a wrapper script. */
  public readonly hasExecutables: boolean;
  /** Files of the directory that are not deployed. */
  public readonly excludes: string[] = [];

  /** @throws SettingsError if the directory or the handler's file is missing. */
  public constructor(scope: Construct, id: string, config: CodeDirectoryConfig) {
    super(scope, id);
    SettingsError.throwIfAny(CodeDirectory.problems(config));
    this.handler = config.handler;
    const source = projectPath(config.directory);
    const { outdir } = App.of(this);
    SettingsError.throwIfAny(holdsOutput(config.directory, [path.resolve(outdir)]));
    const files = filesOf(config.directory);
    this.hasExecutables = files.some(({ isExecutable }) => isExecutable);

    const staging = path.resolve(outdir, "bundles", this.node.addr);
    rmSync(staging, { recursive: true, force: true });
    for (const { name, isExecutable } of files) {
      const copy = path.join(staging, name);
      mkdirSync(path.dirname(copy), { recursive: true });
      copyFileSync(path.join(source, name), copy);
      // Fixed modes, because umask and owner differ from one checkout to the next.
      chmodSync(copy, isExecutable ? 0o755 : 0o644);
    }
    const asset = new TerraformAsset(this, "asset", {
      path: staging,
      type: AssetType.DIRECTORY,
      assetHash: contentHash(source, files),
    });
    this.sourceDir = `\${path.module}/${asset.path}`;
  }

  /** What is wrong with a directory; empty if nothing is. */
  public static problems({ directory, handler }: CodeDirectoryConfig): string[] {
    const source = projectPath(directory);
    if (statSync(source, { throwIfNoEntry: false })?.isDirectory() !== true) {
      return [problem("code.directory", directory, `is not a directory. Paths are relative to ${projectDirectory()}`)];
    }
    const held = holdsOutput(directory, [projectDirectory(), process.cwd()]);
    if (held.length > 0) return held;
    const [, file] = /^((?:.*\/)?[^./]+)\.[\w.]+$/.exec(handler) ?? [];
    if (file === undefined) {
      return [problem("code.handler", handler, "is not of the form <file without extension>.<export>")];
    }
    const candidates = MODULE_EXTENSIONS.map((extension) => path.join(directory, file + extension));
    return candidates.some((each) => statSync(projectPath(each), { throwIfNoEntry: false })?.isFile() === true)
      ? []
      : [
          problem(
            "code.handler",
            handler,
            `names a file that does not exist. Expected one of ${candidates.slice(1).join(", ")}`,
          ),
        ];
  }
}

/** Whether the directory runs on one architecture only: it holds native code. */
export function isBoundToArchitecture({ directory }: CodeDirectoryConfig): boolean {
  const files = filesOf(directory).map(({ name }) => path.join(projectPath(directory), name));
  return files.some((file) => platformOfAddon(file) !== undefined);
}

/** Refuses a directory that contains one of these. Otherwise each synthesis would deploy the output of the last one. */
function holdsOutput(directory: string, outputs: readonly string[]): string[] {
  return outputs.some((each) => isInside(each, projectPath(directory)))
    ? [
        problem(
          "code.directory",
          directory,
          "contains the project itself or the output of the synthesis. Name a directory that has only the code",
        ),
      ]
    : [];
}

interface CodeFile {
  /** Relative to the directory. */
  readonly name: string;
  readonly isExecutable: boolean;
}

/**
 * Every file, sorted by name. A link counts as the file that it leads to.
 * @throws SettingsError if a link leads to nothing, or to a directory that it is in.
 */
function filesOf(directory: string, under = "", above: readonly string[] = []): CodeFile[] {
  const source = projectPath(directory);
  const here = realpathSync(path.join(source, under));
  return readdirSync(here)
    .sort()
    .flatMap((each) => {
      const name = path.join(under, each);
      const stats = statSync(path.join(source, name), { throwIfNoEntry: false });
      if (stats?.isDirectory() === true && ![...above, here].includes(realpathSync(path.join(source, name)))) {
        return filesOf(directory, name, [...above, here]);
      }
      if (stats?.isFile() === true) return [{ name, isExecutable: (stats.mode & 0o100) !== 0 }];
      throw new SettingsError([
        problem(
          "code.directory",
          directory,
          `contains the link ${name}, which leads to no file. Remove the link or name another directory`,
        ),
      ]);
    });
}

/**
 * Of names, contents and whether a file can be run: the path, and with it the plan, changes if and only if the code
 * does.
 */
function contentHash(directory: string, files: readonly CodeFile[]): string {
  const hash = createHash("sha256");
  for (const { name, isExecutable } of files) {
    const content = createHash("sha256")
      .update(readFileSync(path.join(directory, name)))
      .digest();
    hash.update(`${name}\0${isExecutable ? "x" : ""}`).update(content);
  }
  return hash.digest("hex").slice(0, 32);
}
