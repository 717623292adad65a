import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = join(__dirname, "..");

/**
 * Runs the CDKTF app, by the command in cdktf.json that `cdktf synth` runs as well.
 *
 * @param outdir where the app writes, as for CDKTF itself
 * @default - the environment variable CDKTF_OUTDIR, else cdktf.out
 * @returns path of the one stack's `cdk.tf.json`
 * @throws with what the app wrote, if it failed
 */
export async function synth(outdir = resolve(ROOT, process.env["CDKTF_OUTDIR"] ?? "cdktf.out")): Promise<string> {
  const { app } = JSON.parse(readFileSync(join(ROOT, "cdktf.json"), "utf8")) as { app: string };
  const [program = "", ...args] = app.split(" ");
  try {
    await promisify(execFile)(program === "node" ? process.execPath : program, args, {
      cwd: ROOT,
      env: { ...process.env, CDKTF_OUTDIR: outdir },
    });
  } catch (error) {
    throw new Error(`the synthesis failed (${app})\n${(error as { stderr?: string }).stderr ?? String(error)}`);
  }
  const stacks = join(outdir, "stacks");
  const files = readdirSync(stacks).map((stack) => join(stacks, stack, "cdk.tf.json"));
  const [file, ...more] = files.filter((candidate) => existsSync(candidate));
  if (file === undefined || more.length > 0)
    throw new Error(`${stacks} holds ${more.length + 1} stacks; the lab runs one`);
  return file;
}
