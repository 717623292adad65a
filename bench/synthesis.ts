import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(__dirname, "..");

/** Seconds of CPU that the CDKTF app takes for one synthesis. */
export interface Synthesis {
  /** After an install or a change of the function: its types are checked. */
  readonly cold: number;
  readonly warm: readonly number[];
}

export function synthesis(runs: number): Synthesis {
  rmSync(join(ROOT, "node_modules/.cache/type-check"), { recursive: true, force: true });
  return { cold: cpuSeconds(), warm: Array.from({ length: runs }, cpuSeconds) };
}

/** The shell's `times` counts what the app started (esbuild) as well, which the app itself could not. */
function cpuSeconds(): number {
  const { app } = JSON.parse(readFileSync(join(ROOT, "cdktf.json"), "utf8")) as { app: string };
  const output = execFileSync("sh", ["-c", `${app} >/dev/null; times`], { cwd: ROOT, encoding: "utf8" });
  const children = output.trim().split("\n").at(-1) ?? "";
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
}
