import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { findProject, ProjectError, type Project } from "./project";

interface Manifest {
  readonly stacks: Readonly<Record<string, { readonly synthesizedStackPath: string }>>;
}

interface Stack {
  readonly resource?: object;
}

/**
 * Runs the project's CDKTF app, by the command in cdktf.json that `cdktf synth` runs as well.
 *
 * @param outdir where the app writes, as for CDKTF itself
 * @default - the environment variable CDKTF_OUTDIR, else cdktf.out
 * @returns path of the `cdk.tf.json` of the stack that lab.config.json names, else of the one stack that has a function
 * @throws with what the app wrote, if it failed
 * @throws ProjectError if there is no such app or stack
 */
export async function synth(
  outdir?: string,
  project: Pick<Project, "root" | "stack"> = findProject(),
): Promise<string> {
  const { root } = project;
  outdir ??= resolve(root, process.env["CDKTF_OUTDIR"] ?? "cdktf.out");
  const file = join(root, "cdktf.json");
  if (!existsSync(file)) {
    throw new ProjectError(
      `${file} does not exist, so there is no function to synthesize here; name a handler with --handler <path>`,
    );
  }
  checkWritable(outdir);
  const { app } = readJson(file) as { app: string };
  const [program = "", ...args] = app.split(" ");
  try {
    await promisify(execFile)(program === "node" ? process.execPath : program, args, {
      cwd: root,
      env: { ...process.env, CDKTF_OUTDIR: outdir },
    });
  } catch (error) {
    throw new Error(`the synthesis failed (${app})\n${(error as { stderr?: string }).stderr ?? String(error)}`);
  }
  // Not what lies in the directory: CDKTF leaves a stack there that the app has no longer.
  const { stacks } = readJson(join(outdir, "manifest.json")) as Manifest;
  const files = Object.values(stacks).map(({ synthesizedStackPath }) => join(outdir, synthesizedStackPath));
  const withFunction = files.filter((each) => "aws_lambda_function" in ((readJson(each) as Stack).resource ?? {}));
  const nameOf = (each: string): string => basename(dirname(each));
  const wanted =
    project.stack === undefined ? withFunction : withFunction.filter((each) => nameOf(each) === project.stack);
  const [found, ...more] = wanted;
  if (found !== undefined && more.length === 0) return found;
  const names = withFunction.map(nameOf).join(", ");
  throw new ProjectError(
    project.stack === undefined
      ? `of the stacks ${Object.keys(stacks).join(", ")}, ${withFunction.length} have an aws_lambda_function (${names || "none"}); ` +
          `the lab runs the function of one: name its stack in ${join(root, "lab.config.json")}: stack`
      : `stack "${project.stack}" has no aws_lambda_function, expected one of ${names || "none"} (${join(root, "lab.config.json")}: stack)`,
  );
}

function checkWritable(outdir: string): void {
  try {
    mkdirSync(outdir, { recursive: true });
    accessSync(outdir, constants.W_OK);
  } catch {
    throw new ProjectError(
      `${outdir} cannot be written to, and the synthesis writes there; name another directory in the environment: CDKTF_OUTDIR`,
    );
  }
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}
