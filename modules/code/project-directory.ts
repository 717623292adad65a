import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
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

/**
 * Paths of all files, relative to the directory, with slashes. A link counts as the file that it leads to.
 *
 * @param onBrokenLink gets the path of a link that leads to no file, or to a directory that the link is in
 */
export function filesBelow(directory: string, onBrokenLink: (link: string) => void = () => undefined): string[] {
  const walk = (under: string, above: readonly string[]): string[] => {
    const here = realpathSync(path.join(directory, under));
    return readdirSync(here).flatMap((each) => {
      const name = path.posix.join(under, each);
      const stats = statSync(path.join(directory, name), { throwIfNoEntry: false });
      const parents = [...above, here];
      if (stats?.isDirectory() === true && !parents.includes(realpathSync(path.join(directory, name)))) {
        return walk(name, parents);
      }
      if (stats?.isFile() === true) return [name];
      onBrokenLink(name);
      return [];
    });
  };
  return walk("", []).sort();
}
