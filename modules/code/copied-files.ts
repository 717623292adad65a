import { statSync } from "node:fs";
import path from "node:path";
import { filesBelow } from "./installed-packages";
import { isInside, projectDirectory, projectPath } from "./project-directory";
import { problem } from "../terraform/settings-error";

const SETTING = "code.copy";

/** A file or a directory that is deployed beside the code. */
export interface CopiedPath {
  /** The file or directory, relative to the directory of cdktf.json. */
  readonly from: string;
  /**
   * Path in the archive, relative to the code. For a directory, `.` is the code's own directory.
   * @default - the last part of `from`
   */
  readonly to?: string;
}

export interface CopiedFiles {
  /** Path in the archive → file on this machine. */
  readonly files: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/**
 * The files that `copy` names.
 *
 * @param outdir output of the synthesis, which no copy may hold
 */
export function copiedFiles(copies: readonly CopiedPath[], outdir: string): CopiedFiles {
  const files = new Map<string, string>();
  const problems: string[] = [];
  for (const { from, to = path.basename(path.resolve(projectDirectory(), from)) } of copies) {
    const source = projectPath(from);
    const stats = from === "" ? undefined : statSync(source, { throwIfNoEntry: false });
    const target = path.posix.normalize(to.replaceAll("\\", "/")).replace(/\/$/, "");
    if (stats === undefined || !(stats.isFile() || stats.isDirectory())) {
      problems.push(
        problem(
          `${SETTING}.from`,
          from,
          `is neither a file nor a directory. Paths are relative to ${projectDirectory()}`,
        ),
      );
    } else if (to === "" || path.posix.isAbsolute(target) || path.win32.isAbsolute(to) || /^\.\.(\/|$)/.test(target)) {
      problems.push(problem(`${SETTING}.to`, to, "is not a path inside the archive. Paths are relative to the code"));
    } else if (stats.isFile() && (target === "." || /[/\\]$/.test(to))) {
      problems.push(problem(`${SETTING}.to`, to, `names a directory, but ${from} is a file. Add the name of the file`));
    } else if (stats.isDirectory() && isInside(outdir, source)) {
      problems.push(
        problem(`${SETTING}.from`, from, "contains the output of the synthesis. Name a directory without it"),
      );
    } else {
      for (const file of stats.isFile() ? [""] : filesBelow(source, ".")) {
        const place = path.posix.normalize(path.posix.join(target, file));
        if (files.has(place))
          problems.push(problem(`${SETTING}.to`, to, `puts two files at ${place}. Set another path`));
        files.set(place, path.join(source, file));
      }
    }
  }
  return { files, problems };
}
