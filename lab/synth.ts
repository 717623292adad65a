import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = join(__dirname, "..");

interface Manifest {
  readonly stacks: Readonly<Record<string, { readonly synthesizedStackPath: string }>>;
}

interface Stack {
  readonly resource?: object;
}

/**
 * Runs the CDKTF app, by the command in cdktf.json that `cdktf synth` runs as well.
 *
 * @param outdir where the app writes, as for CDKTF itself
 * @default - the environment variable CDKTF_OUTDIR, else cdktf.out
 * @returns path of the `cdk.tf.json` of the one stack that has a function
 * @throws with what the app wrote, if it failed; if no stack has a function, or several have
 */
export async function synth(outdir = resolve(ROOT, process.env["CDKTF_OUTDIR"] ?? "cdktf.out")): Promise<string> {
  const { app } = readJson(join(ROOT, "cdktf.json")) as { app: string };
  const [program = "", ...args] = app.split(" ");
  try {
    await promisify(execFile)(program === "node" ? process.execPath : program, args, {
      cwd: ROOT,
      env: { ...process.env, CDKTF_OUTDIR: outdir },
    });
  } catch (error) {
    throw new Error(`the synthesis failed (${app})\n${(error as { stderr?: string }).stderr ?? String(error)}`);
  }
  // Not what lies in the directory: CDKTF leaves a stack there that the app has no longer.
  const { stacks } = readJson(join(outdir, "manifest.json")) as Manifest;
  const files = Object.values(stacks).map(({ synthesizedStackPath }) => join(outdir, synthesizedStackPath));
  const [file, ...more] = files.filter((each) => "aws_lambda_function" in ((readJson(each) as Stack).resource ?? {}));
  if (file === undefined || more.length > 0) {
    throw new Error(
      `of the stacks ${Object.keys(stacks).join(", ")}, ${file === undefined ? "none has" : `${more.length + 1} have`}` +
        ` an aws_lambda_function; the lab runs the function of one stack`,
    );
  }
  return file;
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}
