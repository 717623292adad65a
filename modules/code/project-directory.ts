import { existsSync } from "node:fs";
import path from "node:path";

/**
 * The directory of the nearest cdktf.json, at or above the working directory, which the paths of the settings are
 * relative to; the working directory if there is no cdktf.json.
 */
export function projectDirectory(): string {
  const start = process.cwd();
  return directoriesUpward(start).find((directory) => existsSync(path.join(directory, "cdktf.json"))) ?? start;
}

/** A path in the settings, made absolute. */
export function projectPath(file: string): string {
  return path.resolve(projectDirectory(), file);
}

/** As a message names a file: relative to cdktf.json, wherever the program was started. */
export function shownPath(file: string): string {
  return path.relative(projectDirectory(), file).replaceAll(path.sep, "/");
}

/** Whether a file or directory is a directory itself, or lies in it. */
export function isInside(file: string, directory: string): boolean {
  const relative = path.relative(directory, file);
  return !(relative === ".." || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative));
}

/** A directory and all that it lies in, the nearest first. */
export function directoriesUpward(start: string): string[] {
  const parent = path.dirname(start);
  return parent === start ? [start] : [start, ...directoriesUpward(parent)];
}
