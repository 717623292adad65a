import { readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";

/**
 * Paths of all files, relative to the directory, with slashes. A link counts as the file that it leads to.
 *
 * @param onBrokenLink gets the path of a link that leads to no file, or to a directory that the link is in
 */
export function filesBelow(directory: string, onBrokenLink: (link: string) => void): string[] {
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
