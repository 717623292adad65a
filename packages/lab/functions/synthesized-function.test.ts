import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { synthesizedFunction } from "./synthesized-function";

let stack: string;
let file: string;

beforeEach(() => {
  stack = mkdtempSync(join(tmpdir(), "synthesized-"));
  file = join(stack, "cdk.tf.json");
});
afterEach(() => {
  rmSync(stack, { recursive: true });
});

const FUNCTION = {
  function_name: "a-function",
  handler: "index.handler",
  runtime: "nodejs24.x",
  filename: "${data.archive_file.code-1_x.output_path}",
};

function write(
  functions: Record<string, unknown>,
  archives: unknown = { "code-1_x": { source_dir: "assets/code" } },
): void {
  writeFileSync(
    file,
    JSON.stringify({ data: { archive_file: archives }, resource: { aws_lambda_function: functions } }),
  );
}

test("reads what Terraform would deploy", () => {
  write({
    one: {
      ...FUNCTION,
      memory_size: 1024,
      timeout: 60,
      layers: ["arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:60"],
      environment: { variables: { SHUTDOWN_BUDGET_MS: "300" } },
    },
  });
  expect(synthesizedFunction(file)).toEqual({
    name: "a-function",
    directory: join(stack, "assets", "code"),
    handler: "index.handler",
    runtime: "nodejs24.x",
    memorySizeMb: 1024,
    timeoutMs: 60_000,
    layers: ["arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:60"],
    environment: { SHUTDOWN_BUDGET_MS: "300" },
  });
});

test("what the stack leaves out is as Lambda has it: 128 MB, 3 s", () => {
  write({ one: FUNCTION });
  expect(synthesizedFunction(file)).toMatchObject({ memorySizeMb: 128, timeoutMs: 3_000, layers: [], environment: {} });
});

test.each([
  ["${path.module}/../assets/code", "../assets/code"],
  ["/absolute/code", "/absolute/code"],
])("the directory %s is looked up beside the file", (source, wanted) => {
  write({ one: FUNCTION }, { other: { source_dir: "wrong" }, "code-1_x": { source_dir: source } });
  const { directory } = synthesizedFunction(file);
  expect(directory).toBe(wanted.startsWith("/") ? wanted : join(stack, wanted));
});

test("variables whose value only Terraform knows are left out", () => {
  const variables = { DB_HOST: "${var.db_host}", DB_NAME: "name-${var.stage}", DB_PORT: "3306", PRICE: "$5 {net}" };
  write({ one: { ...FUNCTION, environment: { variables } } });
  expect(synthesizedFunction(file).environment).toEqual({ DB_PORT: "3306", PRICE: "$5 {net}" });
});

describe("is refused", () => {
  test("a stack without a function", () => {
    write({});
    expect(() => synthesizedFunction(file)).toThrow(`${file} has no aws_lambda_function; the lab runs one`);
    writeFileSync(file, "{}");
    expect(() => synthesizedFunction(file)).toThrow("has no aws_lambda_function");
  });

  test("a stack with two", () => {
    write({ one: FUNCTION, two: FUNCTION });
    expect(() => synthesizedFunction(file)).toThrow(`${file} has 2 aws_lambda_function; the lab runs one`);
  });

  test.each(["code.zip", "${data.archive_file.another.output_path}", "${aws_s3_object.code-1_x.output_path}"])(
    "code that is not a staged directory (%s)",
    (filename) => {
      write({ one: { ...FUNCTION, filename } });
      const why = `${file}: filename "${filename}" is not the output_path of a data.archive_file with a source_dir`;
      expect(() => synthesizedFunction(file)).toThrow(why);
    },
  );
});
