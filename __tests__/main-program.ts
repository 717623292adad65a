import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

type Elements = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;

/** The parts of Terraform's JSON that the tests look at. */
export interface MainStack {
  readonly data: Elements;
  readonly resource: Elements;
  readonly output: Elements[string];
}

export interface MainRun {
  readonly status: number | null;
  readonly stderr: string;
  readonly outdir: string;
}

const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "main-test-"));
  directories.push(directory);
  return directory;
}

/** Runs a text of main.ts in the place of this project's, as the app command of cdktf.json does. */
export function runMain(main: string): MainRun {
  const [project, outdir] = [temporaryDirectory(), temporaryDirectory()];
  for (const name of readdirSync(".")) {
    if (!["main.ts", "cdktf.out", ".git"].includes(name)) symlinkSync(resolve(name), join(project, name));
  }
  writeFileSync(join(project, "main.ts"), main);
  const { status, stderr } = spawnSync(process.execPath, ["--conditions=source", "--import", "tsx", "main.ts"], {
    cwd: project,
    // No HOME and no credentials.
    env: { PATH: process.env["PATH"], CDKTF_OUTDIR: outdir },
    encoding: "utf8",
  });
  return { status, stderr, outdir };
}

/** The stack with the function. @throws Error with what main.ts wrote, if it failed */
export function synthesizeMain(main: string): MainStack {
  const { status, stderr, outdir } = runMain(main);
  if (status !== 0) throw new Error(stderr);
  const stacks = readdirSync(join(outdir, "stacks")).map(
    (name) => JSON.parse(readFileSync(join(outdir, "stacks", name, "cdk.tf.json"), "utf8")) as MainStack,
  );
  const found = stacks.find(({ resource }) => resource["aws_lambda_function"] !== undefined);
  if (found === undefined) throw new Error("no stack has a function");
  return found;
}
