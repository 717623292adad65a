import { App } from "cdktf";
import { Construct } from "constructs";
import { statSync } from "node:fs";
import path from "node:path";
import { archiveDirectory } from "./archive-directory";
import { filesBelow } from "./directory-files";
import { isInside, projectDirectory, projectPath } from "./project-directory";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";
import { read, required, type OptionTable } from "../terraform/option-table";

/** In the order in which Lambda's runtime looks for them. */
const MODULE_EXTENSIONS = ["", ".js", ".mjs", ".cjs"];

export interface CodeDirectoryConfig {
  /** Directory with the code and its node_modules, relative to the directory of cdktf.json. */
  readonly directory: string;
  /** What Lambda calls: file without its extension, a dot, name of the export. */
  readonly handler: string;
}

export const CODE_DIRECTORY: OptionTable<CodeDirectoryConfig> = {
  directory: read(required("text")),
  handler: read(required("text")),
};

/** A function's code from a directory, for code that is already built or needs no build. */
export class CodeDirectory extends Construct {
  public readonly handler: string;
  /** The staged copy, as Terraform sees it. */
  public readonly sourceDir: string;
  /** Whether Lambda can run one of the files, such as a program or a wrapper script. */
  public readonly hasExecutables: boolean;

  /** @throws ConstructSettingsError if the directory or the handler's file is missing. */
  public constructor(scope: Construct, id: string, config: CodeDirectoryConfig) {
    super(scope, id);
    ConstructSettingsError.throwIfAny(CodeDirectory.problems(config));
    ConstructSettingsError.throwIfAny(outputProblems(config.directory, [path.resolve(App.of(this).outdir)]));
    this.handler = config.handler;
    const { sourceDir, hasExecutables } = archiveDirectory(this, filesOf(config.directory));
    this.sourceDir = sourceDir;
    this.hasExecutables = hasExecutables;
  }

  /** Problems of a directory and its handler. */
  public static problems({ directory, handler }: CodeDirectoryConfig): string[] {
    const source = projectPath(directory);
    if (statSync(source, { throwIfNoEntry: false })?.isDirectory() !== true) {
      return [problem("code.directory", directory, `is not a directory. Paths are relative to ${projectDirectory()}`)];
    }
    const output = outputProblems(directory, [projectDirectory(), process.cwd()]);
    return output.length > 0 ? output : handlerProblems(directory, handler);
  }
}

function handlerProblems(directory: string, handler: string): string[] {
  const [, file] = /^((?:.*\/)?[^./]+)\.[\w.]+$/.exec(handler) ?? [];
  if (file === undefined) {
    return [problem("code.handler", handler, "is not of the form <file without extension>.<export>")];
  }
  const candidates = MODULE_EXTENSIONS.map((extension) => path.join(directory, file + extension));
  if (candidates.some((each) => statSync(projectPath(each), { throwIfNoEntry: false })?.isFile() === true)) return [];
  const expected = candidates.slice(1).join(", ");
  return [problem("code.handler", handler, `names a file that does not exist. Expected one of ${expected}`)];
}

/** Refuses a directory that contains one of these. Otherwise each synthesis would deploy the output of the last one. */
function outputProblems(directory: string, outputs: readonly string[]): string[] {
  const text = "contains the project itself or the output of the synthesis. Name a directory that has only the code";
  return outputs.some((each) => isInside(each, projectPath(directory)))
    ? [problem("code.directory", directory, text)]
    : [];
}

/** @throws ConstructSettingsError for a link that leads to no file */
function filesOf(directory: string): ReadonlyMap<string, string> {
  const problems: string[] = [];
  const names = filesBelow(projectPath(directory), (link) => {
    const text = `contains the link ${link}, which leads to no file. Remove the link or name another directory`;
    problems.push(problem("code.directory", directory, text));
  });
  ConstructSettingsError.throwIfAny(problems);
  return new Map(names.map((name) => [name, path.join(projectPath(directory), name)]));
}
