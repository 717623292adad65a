import { App, TerraformOutput, TerraformStack, TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction } from "../graceful-function/graceful-function";
import { MysqlDatabase } from "../mysql-database/mysql-database";
import { addOutput, pathName } from "./path-name";
import { FUNCTION, jsonOf, newStack, temporaryDirectory } from "../__tests__/synthesis";

/** A construct of that path below the stack; what is on the way is made. */
function at(stack: TerraformStack, path: readonly string[]): Construct {
  return path.reduce<Construct>((scope, id) => {
    const child = scope.node.tryFindChild(id);
    return child instanceof Construct ? child : new Construct(scope, id);
  }, stack);
}

test.each([
  [["function"], "function"],
  [["orders_function"], "orders_function"],
  [["orders-function"], "orders-function"],
  [["orders", "function"], "orders_function"],
  [["team-a", "orders", "function"], "team-a_orders_function"],
])("%j is named %s", (path, name) => {
  expect(pathName(at(newStack(), path))).toBe(name);
  expect(pathName(at(newStack(), path), "arn")).toBe(`${name}_arn`);
});

test.each([[["my function"]], [["my.function"]], [["funktión"]], [["1"]], [["日本"]], [["a", "my_function"]]])(
  "%j is named in Terraform's characters, the same way every time",
  (path) => {
    const name = pathName(at(newStack(), path));
    expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_-]*_[0-9a-f]{8}$/);
    expect(pathName(at(newStack(), path))).toBe(name);
  },
);

test("paths that would share a name get two, also on a file system that ignores case", () => {
  const stack = newStack();
  const paths = "orders_function orders/function Orders/function a%b ab a.b a_b/c a/b_c".split(" ");
  const names = paths.map((path) => pathName(at(stack, path.split("/"))).toLowerCase());
  expect(new Set(names).size).toBe(paths.length);
});

test("a long path gets a name that a file system accepts", () => {
  const stack = newStack();
  const names = [["x".repeat(300)], ["x".repeat(301)], ["x".repeat(100), "x".repeat(200)]].map((path) =>
    pathName(at(stack, path), "insights_layer_arn"),
  );
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name.length).toBeLessThan(200);
});

test("an output's name also belongs to one construct", () => {
  const stack = newStack();
  const name = (id: string, suffix: string): string => pathName(at(stack, [id]), suffix);
  const names = [name("function", "log_group_name"), name("function_log_group", "name")];
  expect(names).toEqual(["function_log_group_name", expect.stringMatching(/^function_log_group_[0-9a-f]{8}_name$/)]);
});

test("an id that only Terraform knows is refused", () => {
  const stack = newStack();
  const { stringValue } = new TerraformVariable(stack, "id", { type: "string" });
  expect(() => pathName(at(stack, [stringValue]))).toThrow("an id in this path is known to Terraform only");
});

test("an output of the same name elsewhere in the stack fails the synthesis", () => {
  const app = new App({ outdir: temporaryDirectory() });
  const stack = new TerraformStack(app, "test");
  addOutput(at(stack, ["function"]), "arn", "ARN", "arn");
  const synth = (): void => {
    app.synth();
  };
  expect(synth).not.toThrow();
  new TerraformOutput(stack, "function_arn", { value: "mine" });
  expect(synth).toThrow("test/function_arn has the same name, function_arn. Rename it");
});

test("two teams in one stack have archives and outputs of their own, with the same ids", () => {
  const stack = newStack();
  for (const team of ["orders", "sales"]) {
    const scope = new Construct(stack, team);
    const mysql = new MysqlDatabase(scope, "database", { region: "us-east-1", name: team, databaseName: team });
    const { settings: database, vpc } = mysql;
    new GracefulFunction(scope, "function", { ...FUNCTION, functionName: team, database, vpc });
  }
  const { output, data } = jsonOf(stack);
  const paths = Object.values(data.archive_file ?? {}).map((each) => each.output_path);
  expect(paths).toEqual(["${path.module}/orders_function.zip", "${path.module}/sales_function.zip"]);
  for (const team of ["orders", "sales"]) {
    expect(output[`${team}_function_log_group_name`]?.value).toBe(`/aws/lambda/${team}`);
    expect(output[`${team}_database_name`]?.value).toBe(team);
  }
  expect(Object.keys(output).filter((name) => !/^(orders|sales)_(function|database)_/.test(name))).toEqual([]);
});
