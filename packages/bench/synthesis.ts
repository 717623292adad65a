import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(__dirname, "../..");
const TEMPLATE = join(__dirname, "cdktf-init");

/** Seconds of CPU that a CDKTF app takes for one synthesis. */
export interface Synthesis {
  /** After an install or a change of the function: its types are checked. */
  readonly cold: readonly number[];
  readonly warm: readonly number[];
  /** The same stack from what `cdktf init` gives, which bundles no code. */
  readonly template: readonly number[];
}

/**
 * In turn, so that a machine that gets slower or faster does so for both.
 *
 * @throws Error if the two stacks are not the same
 */
export function synthesis(runs: number): Synthesis {
  const checked = join(ROOT, "node_modules/.cache/type-check");
  const scratch = mkdtempSync(join(tmpdir(), "synthesis-"));
  const [ours, template] = [join(scratch, "ours"), join(scratch, "template")];
  try {
    const rounds = Array.from({ length: runs }, () => {
      rmSync(checked, { recursive: true, force: true });
      return {
        cold: cpuSeconds(ROOT, ours),
        warm: cpuSeconds(ROOT, ours),
        template: cpuSeconds(TEMPLATE, template),
      };
    });
    const [wanted, found] = [elements(ours), elements(template)];
    if (found !== wanted) throw new Error(`${TEMPLATE} makes another stack than main.ts:\n${found}\n\n${wanted}`);
    const all = (of: "cold" | "warm" | "template"): readonly number[] => rounds.map((round) => round[of]);
    return { cold: all("cold"), warm: all("warm"), template: all("template") };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The shell's `times` counts what the app started (esbuild) as well, which the app itself could not. */
function cpuSeconds(project: string, outdir: string): number {
  const { app } = JSON.parse(readFileSync(join(project, "cdktf.json"), "utf8")) as { app: string };
  const output = execFileSync("sh", ["-c", `${app} >/dev/null && times`], {
    cwd: project,
    env: { ...process.env, CDKTF_OUTDIR: outdir },
    encoding: "utf8",
  });
  const children = output.trim().split("\n").at(-1) ?? "";
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
}

/** How many elements of each type a stack has: `resource.aws_iam_policy 2`. */
function elements(outdir: string): string {
  const file = join(outdir, "stacks/graceful-shutdown/cdk.tf.json");
  const stack = JSON.parse(readFileSync(file, "utf8")) as Record<string, Record<string, object>>;
  return ["provider", "variable", "data", "resource", "output"]
    .flatMap((kind) =>
      Object.entries(stack[kind] ?? {}).map(([type, each]) =>
        kind === "data" || kind === "resource" ? `${kind}.${type} ${Object.keys(each).length}` : `${kind}.${type}`,
      ),
    )
    .sort()
    .join("\n");
}
