import { readFileSync } from "node:fs";
import { runMain, synthesizeMain, type MainStack } from "./main-program";
import { mainSetting, mainWith } from "./main-settings";

/** With a database that exists. */
const MAIN = mainWith({ CREATE_DATABASE: "false" });

const lambdas = ({ resource }: MainStack) => Object.values(resource["aws_lambda_function"] ?? {});

describe("main.ts", () => {
  test("synthesizes without HOME and AWS credentials, and without a password", () => {
    const stack = synthesizeMain(MAIN);
    expect(lambdas(stack)).toMatchObject([
      {
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
      },
    ]);
    expect(JSON.stringify(stack)).not.toMatch(/password/i);
  });

  test("synthesizes as it stands", () => {
    const stack = synthesizeMain(readFileSync("main.ts", "utf8"));
    expect(lambdas(stack)).toMatchObject([{ function_name: mainSetting("functionName") }]);
  });

  test("reports what is wrong with a setting, and nothing else", () => {
    const { status, stderr } = runMain(mainWith({ region: '"us-moon-1"' }));
    expect(status).toBe(1);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^[\w-]+\/\w+: region "us-moon-1" is not one of af-south-1, /),
    ]);
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
