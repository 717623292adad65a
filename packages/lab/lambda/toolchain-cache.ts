import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/** Where packages keep what they make for later, in the nearest `node_modules`. */
function root(directory = __dirname): string {
  const modules = join(directory, "node_modules");
  const parent = dirname(directory);
  // The workspace's own node_modules holds two packages; the cache belongs beside all others.
  if (existsSync(join(modules, "commander"))) return join(modules, ".cache", "lambda-shutdown-lab");
  if (parent === directory) throw new Error(`no node_modules above ${__dirname}: install the lab's packages first`);
  return root(parent);
}

/**
 * A folder that is made once. Two that make it at the same time do not see each other's half-made files: each makes its
 * own, and the first that is done stays.
 *
 * @param name has the versions of all that goes into the folder
 * @param make fills the empty folder, or throws
 */
export function cachedFolder(name: string, make: (folder: string) => void): string {
  const folder = join(root(), name);
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const unfinished = mkdtempSync(`${folder}-`);
  try {
    make(unfinished);
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
