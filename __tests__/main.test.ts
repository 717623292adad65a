import { readdirSync, readFileSync } from "node:fs";
import { mainSetting, mainWith } from "./main-settings";
import { only, runMain, synthesizeMain, temporaryDirectory } from "../modules/__tests__/synthesis";

/** With a database that exists. */
const MAIN = mainWith({ CREATE_DATABASE: "false" });

describe("main.ts", () => {
  test("synthesizes without HOME and AWS credentials, and without a password", () => {
    const stack = synthesizeMain(MAIN);
    expect(only(stack.resource, "aws_lambda_function")).toMatchObject({
      function_name: mainSetting("functionName"),
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

  test("synthesizes as it stands", () => {
    const stack = synthesizeMain(readFileSync("main.ts", "utf8"));
    expect(only(stack.resource, "aws_lambda_function").function_name).toBe(mainSetting("functionName"));
  });

  test("leaves nothing in the directory for temporary files", () => {
    const directory = temporaryDirectory();
    synthesizeMain(MAIN, { TMPDIR: directory });
    // The cache of tsx is not ours.
    expect(readdirSync(directory).filter((name) => !name.startsWith("tsx-"))).toEqual([]);
  });

  test("reports what is wrong with a setting, and nothing else", () => {
    const { status, stderr } = runMain(mainWith({ CREATE_DATABASE: "false", region: '"us-moon-1"', timeout: "0" }));
    const path = `${mainSetting("STACK_NAME")}/function`;
    expect(status).toBe(1);
    const [first, second, ...more] = stderr.trimEnd().split("\n");
    expect([first, more]).toEqual([`${path}: timeout 0 is not a whole number from 1 to 900 s`, []]);
    expect(second).toMatch(/: region "us-moon-1" is not one of af-south-1, .*$/);
  });

  test("does not hide an error of another kind", () => {
    const provider = 'new ArchiveProvider(this, "archive");';
    expect(MAIN).toContain(provider);
    const { status, stderr } = runMain(MAIN.replace(provider, ""));
    expect(status).toBe(1);
    expect(stderr).toContain("Found resources without a matching provider construct");
    expect(stderr).toMatch(/^ +at /m);
  });
});
