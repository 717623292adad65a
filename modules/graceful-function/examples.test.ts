import type { TerraformStack } from "cdktf";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { GracefulFunction } from "./graceful-function";
import { FUNCTION, jsonOf, newStack, only, policy, type Synthesized } from "../__tests__/synthesis";

describe("an example of docs/construct.md", () => {
  const directory = "modules/__tests__/examples";
  type Example = (stack: TerraformStack, orders: GracefulFunction) => void;
  const files = readdirSync(directory).filter(
    (file) => !readFileSync(path.join(directory, file), "utf8").includes("MysqlDatabase"),
  );

  /** The stack of the example of that file, with the function that it takes, unless it has its own. */
  function synthesized(file: string): Synthesized {
    const [example] = Object.values(jest.requireActual<Record<string, Example>>(path.resolve(directory, file)));
    if (example === undefined) throw new Error(`${file} has no example`);
    const stack = newStack();
    const orders = (): GracefulFunction =>
      new GracefulFunction(stack, "function", { ...FUNCTION, environment: { SHUTDOWN_METRICS_NAMESPACE: "Orders" } });
    example(stack, ...((example.length < 2 ? [] : [orders()]) as [GracefulFunction]));
    return jsonOf(stack);
  }

  test("stands in the document, as all do", () => {
    const links = readFileSync("docs/construct.md", "utf8").matchAll(
      /\]\(\.\.\/modules\/__tests__\/examples\/([\w-]+\.ts)\)/g,
    );
    expect([...links].map(([, name]) => name).sort()).toEqual([...files].sort());
  });

  test.each(files)("synthesizes: %s", (file) => {
    expect(only(synthesized(file).resource, "aws_lambda_function").function_name).toBe("orders");
  });

  test("deploys an image without an archive", () => {
    const { resource, data } = synthesized("container-image.ts");
    const lambda = only(resource, "aws_lambda_function");
    expect(lambda).toMatchObject({
      package_type: "Image",
      environment: { variables: { SHUTDOWN_EXTENSION: "internal" } },
    });
    for (const name of ["filename", "handler", "runtime", "layers", "source_code_hash"])
      expect(lambda).not.toHaveProperty(name);
    expect(data).not.toHaveProperty("archive_file");
  });

  test("lets API Gateway call the function", () => {
    const { resource } = synthesized("http-api.ts");
    const [id] = Object.keys(resource.aws_lambda_function ?? {});
    expect(only(resource, "aws_apigatewayv2_api").target).toBe(`\${aws_lambda_function.${id}.arn}`);
    expect(only(resource, "aws_lambda_permission").principal).toBe("apigateway.amazonaws.com");
  });

  test("lets the function read a queue before the queue calls it", () => {
    const { resource } = synthesized("queue.ts");
    const found = Object.values(resource.aws_iam_policy ?? {}).find(({ name }) => name === "orders-us-east-1-queue");
    expect(policy(found?.policy).Statement).toMatchObject([{ Resource: "${aws_sqs_queue.messages.arn}" }]);
    expect(only(resource, "aws_lambda_event_source_mapping").depends_on).toEqual([
      expect.stringMatching(/^aws_iam_role_policy_attachment\.function_role_queue-attachment_/),
    ]);
  });

  test.each(["dead-letters.ts", "environment-key.ts"])("lets the function wait for its permission: %s", (file) => {
    const { resource } = synthesized(file);
    const dependencies = only(resource, "aws_lambda_function").depends_on as string[];
    const attachments = Object.keys(resource.aws_iam_role_policy_attachment ?? {});
    expect(dependencies.filter((each) => each.startsWith("aws_iam")).sort()).toEqual(
      attachments.map((id) => `aws_iam_role_policy_attachment.${id}`).sort(),
    );
  });

  test("leaves a role alone that has every permission", () => {
    const { resource } = synthesized("complete-role.ts");
    expect(Object.keys(resource).sort()).toEqual(["aws_cloudwatch_log_group", "aws_lambda_function"]);
    expect(only(resource, "aws_lambda_function").depends_on).toEqual([
      expect.stringMatching(/^aws_cloudwatch_log_group\./),
    ]);
  });

  test("deploys an archive of any size from S3", () => {
    const lambda = only(synthesized("package-from-s3.ts").resource, "aws_lambda_function");
    expect(lambda).not.toHaveProperty("filename");
    expect(JSON.stringify(lambda.lifecycle)).not.toContain("52428800)");
  });

  test("has alarms and a dashboard for metrics that the function writes", () => {
    const source = readFileSync("packages/shutdown/src/metrics.ts", "utf8");
    const [alarm] = Object.values(synthesized("alarm.ts").resource.aws_cloudwatch_metric_alarm ?? {});
    expect(alarm?.namespace).toBe("Orders");
    const body = String(only(synthesized("dashboard.ts").resource, "aws_cloudwatch_dashboard").dashboard_body);
    const names = [...body.matchAll(/\["Orders", "(\w+)", "functionName"/g)].map(([, name]) => name ?? "");
    expect(names).toHaveLength(3);
    for (const name of [...names, String(alarm?.metric_name)]) expect(source).toContain(name);
    for (const name of Object.keys(alarm?.dimensions as object)) expect(source).toContain(`["${name}"]`);
  });
});
