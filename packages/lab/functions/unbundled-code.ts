import { cpSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";

/** Copies a handler's directory with the packages it needs, the way a zip of a folder with node_modules holds them. */
export function stageUnbundled(source: string, target: string, packages: readonly string[]): void {
  cpSync(source, target, { recursive: true });
  const staged = new Set<string>();
  const scenario = (name: string, from: string): void => {
    if (staged.has(name)) return;
    staged.add(name);
    const folder = packageFolder(name, from);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      dependencies?: Readonly<Record<string, string>>;
    };
    cpSync(folder, join(target, "node_modules", name), { recursive: true, filter: (path) => !isNested(path, folder) });
    for (const dependency of Object.keys(manifest.dependencies ?? {})) scenario(dependency, folder);
  };
  for (const name of packages) scenario(name, __dirname);
}

function packageFolder(name: string, from: string): string {
  const main = createRequire(join(from, "package.json")).resolve(name);
  const marker = `${sep}node_modules${sep}${name.replaceAll("/", sep)}`;
  return main.slice(0, main.lastIndexOf(marker) + marker.length) || dirname(main);
}

function isNested(path: string, folder: string): boolean {
  return path.slice(folder.length).includes(`${sep}node_modules`);
}
