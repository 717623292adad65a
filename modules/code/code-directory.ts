import { App } from "cdktf";
import type { Construct } from "constructs";
import { statSync } from "node:fs";
import path from "node:path";
import type { ArchiveFiles } from "./archive-directory";
import { filesBelow, isInside, projectDirectory, projectPath } from "./project-directory";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";
import { read, required, type OptionTable } from "../terraform/option-table";

/** In the order in which Lambda's runtime looks for them. */
const MODULE_EXTENSIONS = ["", ".js", ".mjs", ".cjs"];

export interface CodeDirectoryConfig {
  /**
   * Or a directory with the code and its node_modules.
   *
   * Relative to the directory of cdktf.json.
   */
  readonly directory: string;
  /** For `directory`: file and export, such as `index.handler`. */
  readonly handler: string;
}

export const CODE_DIRECTORY: OptionTable<CodeDirectoryConfig> = {
  directory: read(required("text")),
  handler: read(required("text")),
};

/** Problems of a directory and its handler. */
export function codeDirectoryProblems({ directory, handler }: CodeDirectoryConfig): string[] {
  if (statSync(projectPath(directory), { throwIfNoEntry: false })?.isDirectory() !== true) {
    return [problem("code.directory", directory, `is not a directory. Paths are relative to ${projectDirectory()}`)];
  }
  const output = outputProblems(directory, [projectDirectory(), process.cwd()]);
  return output.length > 0 ? output : handlerProblems(directory, handler);
}

/** @throws ConstructSettingsError for a link that leads to no file, and for the output of the synthesis */
export function codeDirectoryFiles(scope: Construct, { directory }: CodeDirectoryConfig): ArchiveFiles {
  const problems = outputProblems(directory, [path.resolve(App.of(scope).outdir)]);
  ConstructSettingsError.throwIfAny(problems);
  const names = filesBelow(projectPath(directory), (link) => {
    const text = `contains the link ${link}, which leads to no file. Remove the link or name another directory`;
    problems.push(problem("code.directory", directory, text));
  });
  ConstructSettingsError.throwIfAny(problems);
  return new Map(names.map((name) => [name, path.join(projectPath(directory), name)]));
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
