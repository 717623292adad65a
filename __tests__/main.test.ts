import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { only, synthesizeMain, temporaryDirectory } from "./modules/synthesis";

/** Runs main.ts with other settings, as a fork would. */
function run(replacements: Record<string, string>): { status: number | null; stderr: string } {
  const fork = temporaryDirectory();
  for (const name of ["modules", "function", "node_modules", "tsconfig.json", "cdktf.json"]) {
    symlinkSync(path.resolve(name), path.join(fork, name));
  }
  let main = readFileSync("main.ts", "utf8");
  for (const [from, to] of Object.entries(replacements)) {
    expect(main).toContain(from);
    main = main.replace(from, to);
  }
  writeFileSync(path.join(fork, "main.ts"), main);
  return spawnSync(process.execPath, ["--import", "tsx", "main.ts"], { cwd: fork, encoding: "utf8" });
}

describe("main.ts", () => {
  test("synthesizes without HOME and AWS credentials, and without a password", () => {
    const stack = synthesizeMain();
    expect(only(stack.resource, "aws_lambda_function")).toMatchObject({
      function_name: "graceful-shutdown",
      environment: {
        variables: {
          DB_HOST: "${var.db_host}",
          DB_PORT: "${var.db_port}",
          DB_NAME: "${var.db_name}",
          DB_AUTH: "secret",
          DB_SECRET_ARN: "${var.db_secret_arn}",
        },
      },
    });
    expect(JSON.stringify(stack)).not.toMatch(/password/i);
  });

  test("leaves nothing in the directory for temporary files", () => {
    const directory = temporaryDirectory();
    synthesizeMain({ TMPDIR: directory });
    // The cache of tsx is not ours.
    expect(readdirSync(directory).filter((name) => !name.startsWith("tsx-"))).toEqual([]);
  });

  test("says what is wrong with a setting, and no more than that", () => {
    const { status, stderr } = run({ '"us-east-1"': '"us-moon-1"', "timeout: 60": "timeout: 0" });
    expect(status).toBe(1);
    expect(stderr.trimEnd().split("\n")).toEqual([
      "graceful-shutdown/function: timeout 0 is not a whole number from 1 to 900 s",
      expect.stringMatching(/^graceful-shutdown\/function: region "us-moon-1" is not one of af-south-1, .*$/),
    ]);
  });

  test("does not hide an error of another kind", () => {
    const { status, stderr } = run({ 'new ArchiveProvider(this, "archive");': "" });
    expect(status).toBe(1);
    expect(stderr).toContain("Found resources without a matching provider construct");
    expect(stderr).toMatch(/^ +at /m);
  });
});
