import { readdirSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(__dirname, "../../..");

const IGNORED = ["node_modules", "cdktf.out", "coverage", "dist", "terraform-module", "layer", ".git", ".terraform"];

/** The files of this project, relative to its folder, whether or not it is a git repository. */
export function projectFiles(folder = ""): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (IGNORED.includes(entry.name) || /\.(log|tgz)$|\.tfstate/.test(entry.name)) return [];
    if (entry.isDirectory()) return projectFiles(path);
    return entry.isFile() ? [path] : [];
  });
}
