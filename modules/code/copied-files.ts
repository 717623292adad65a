import { statSync, type Stats } from "node:fs";
import path from "node:path";
import { filesBelow, isInside, projectDirectory, projectPath } from "./project-directory";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";
import { optional, read, required, type OptionTable } from "../terraform/option-table";

const FROM = "code.copy.from";
const TO = "code.copy.to";

/** A file or a directory that is deployed beside the code. */
export interface CopiedPath {
  /**
   * File or directory.
   *
   * Relative to the directory of cdktf.json.
   */
  readonly from: string;
  /**
   * Path beside the code. For a directory, `.` is the code's own directory.
   * @default - the last part of `from`
   */
  readonly to?: string;
}

export const COPIED_PATH: OptionTable<CopiedPath> = { from: read(required("text")), to: read(optional("text")) };

/**
 * The files that `copy` names: path in the archive → file on this machine.
 *
 * @param outdir output of the synthesis, which must not be copied
 * @throws ConstructSettingsError for files that are missing, and for paths outside the archive
 */
export function copiedFiles(copies: readonly CopiedPath[], outdir: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const problems: string[] = [];
  for (const { from, to = path.basename(path.resolve(projectDirectory(), from)) } of copies) {
    const source = projectPath(from);
    const stats = statSync(source, { throwIfNoEntry: false });
    const found = fromProblem(from, stats, outdir) ?? toProblem(from, to, stats);
    if (found !== undefined) {
      problems.push(found);
      continue;
    }
    const onBrokenLink = (link: string): void => {
      problems.push(problem(FROM, from, `contains the link ${link}, which leads to no file. Remove the link`));
    };
    for (const file of stats?.isFile() === true ? [""] : filesBelow(source, onBrokenLink)) {
      const place = path.posix.join(slashed(to), file).replace(/\/$/, "");
      if (files.has(place)) problems.push(problem(TO, to, `puts two files at ${place}. Set another path`));
      files.set(place, path.join(source, file));
    }
  }
  ConstructSettingsError.throwIfAny(problems);
  return files;
}

function fromProblem(from: string, stats: Stats | undefined, outdir: string): string | undefined {
  if (stats === undefined || !(stats.isFile() || stats.isDirectory())) {
    return problem(FROM, from, `is neither a file nor a directory. Paths are relative to ${projectDirectory()}`);
  }
  return stats.isDirectory() && isInside(outdir, projectPath(from))
    ? problem(FROM, from, "contains the output of the synthesis. Name a directory without it")
    : undefined;
}

function toProblem(from: string, to: string, stats: Stats | undefined): string | undefined {
  const target = path.posix.normalize(slashed(to));
  if (to === "" || path.posix.isAbsolute(target) || path.win32.isAbsolute(to) || /^\.\.(\/|$)/.test(target)) {
    return problem(TO, to, "is not a path inside the archive. Paths are relative to the code");
  }
  return stats?.isFile() === true && /(^|\/)\.?$/.test(target)
    ? problem(TO, to, `names a directory, but ${from} is a file. Add the name of the file`)
    : undefined;
}

function slashed(file: string): string {
  return file.replaceAll("\\", "/");
}
