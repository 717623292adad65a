import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/**
 * Where a program is, in the order in which the directories are searched.
 *
 * @param besidePath directories that are searched after those of the PATH @default none
 */
export function programPaths(name: string, besidePath: readonly string[] = []): readonly string[] {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), ...besidePath];
  return directories.flatMap((directory) => {
    const path = join(directory, name);
    return isAbsolute(directory) && isExecutable(path) ? [path] : [];
  });
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
