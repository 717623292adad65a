import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const CACHE = join(__dirname, "../../../node_modules/.cache/node-versions");

/** What a test can install from npm, and the npm that comes with it. */
export const NODE_VERSIONS = { "20.19": "10", "22": "10", "24": "11", "26": "12" } as const;
export type NodeVersion = keyof typeof NODE_VERSIONS;

/** Programs of any machine. There is no Python, no make and no compiler among them. */
const PROGRAMS = ["sh", "env", "ls", "cat", "sed", "tar", "gzip", "uname", "dirname", "basename", "rm", "mkdir", "cp"];

/** A folder for the PATH: Node.js of that version, its npm, and nothing that compiles. */
export function nodePath(version: NodeVersion): string {
  const folder = join(CACHE, version);
  const bin = join(folder, "bin");
  if (existsSync(join(bin, "npx"))) return bin;
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(folder, "package.json"), "{}");
  const platform = `node-${process.platform}-${process.arch}`;
  const packages = [`${platform}@${version}`, `npm@${NODE_VERSIONS[version]}`];
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  execFileSync("npm", ["install", ...options, ...packages], { cwd: folder, stdio: "pipe" });
  const node = join(folder, "node_modules", platform, "bin/node");
  const script = (...command: readonly string[]): string => `#!/bin/sh\nexec ${command.join(" ")} "$@"\n`;
  const programs = [
    ["node", script(node)],
    ...PROGRAMS.map((name) => [name, script(execFileSync("which", [name], { encoding: "utf8" }).trim())]),
    ...["npm", "npx"].map((name) => [name, script(node, join(folder, `node_modules/npm/bin/${name}-cli.js`))]),
  ] as const;
  for (const [name = "", text = ""] of programs) writeFileSync(join(bin, name), text, { mode: 0o755 });
  return bin;
}

export function nodeProgram(version: NodeVersion): string {
  nodePath(version);
  const modules = join(CACHE, version, "node_modules");
  const [platform = ""] = readdirSync(modules).filter((name) => name.startsWith("node-"));
  return join(modules, platform, "bin/node");
}
