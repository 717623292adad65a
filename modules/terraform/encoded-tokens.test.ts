import { TerraformVariable, Testing, type TerraformStack } from "cdktf";
import { GracefulFunction, type GracefulFunctionConfig } from "../graceful-function/graceful-function";
import { ENTRY, newStack } from "../__tests__/synthesis";

const SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf";
const DATABASE = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn: SECRET } } as const;

type Variable = (type: string) => TerraformVariable;

/** Settings from a typed member of a variable, such as `listValue`, or from `value`, whose type is `any`. */
function synthesized<Config>(
  make: (stack: TerraformStack, settings: Partial<Config>) => void,
  settings: (variable: Variable, isTyped: boolean) => Partial<Config>,
  isTyped: boolean,
): string {
  const stack = newStack();
  make(
    stack,
    settings((type) => new TerraformVariable(stack, `variable-${type}`.replaceAll(/\W/g, "-"), { type }), isTyped),
  );
  return Testing.synth(stack);
}

const text = (variable: TerraformVariable, isTyped: boolean): string =>
  isTyped ? variable.stringValue : (variable.value as string);
const list = (variable: TerraformVariable, isTyped: boolean): string[] =>
  isTyped ? variable.listValue : (variable.value as string[]);
const number = (variable: TerraformVariable, isTyped: boolean): number =>
  isTyped ? variable.numberValue : (variable.value as number);

describe("variable.value, an object of type any, means the same as the typed member of the variable", () => {
  const functions: Readonly<Record<string, (variable: Variable, isTyped: boolean) => Partial<GracefulFunctionConfig>>> =
    {
      functionName: (variable, isTyped) => ({ functionName: text(variable("string"), isTyped) }),
      description: (variable, isTyped) => ({ description: text(variable("string"), isTyped) }),
      "database.host": (variable, isTyped) => ({
        database: { ...DATABASE, host: text(variable("string"), isTyped), port: number(variable("number"), isTyped) },
      }),
      layers: (variable, isTyped) => ({ layers: list(variable("list(string)"), isTyped) }),
      vpc: (variable, isTyped) => {
        const ids = list(variable("list(string)"), isTyped);
        return { vpc: { subnetIds: ids, securityGroupIds: ids, reachesLogs: true } };
      },
      timeout: (variable, isTyped) => ({ timeout: number(variable("number"), isTyped), database: DATABASE }),
    };

  test.each(Object.entries(functions))("for %s of a function", (_, settings) => {
    const make = (stack: TerraformStack, given: Partial<GracefulFunctionConfig>): void => {
      const config = { region: "us-east-1", functionName: "orders", code: { entry: ENTRY }, ...given };
      new GracefulFunction(stack, "function", config);
    };
    expect(synthesized(make, settings, false)).toBe(synthesized(make, settings, true));
  });

  test.each(["environment", "tags"])("for %s of a function", (name) => {
    const stack = newStack();
    const { value } = new TerraformVariable(stack, "map", { type: "map(string)" }) as { readonly value: unknown };
    const config = { region: "us-east-1", functionName: "orders", code: { entry: ENTRY }, [name]: value };
    new GracefulFunction(stack, "function", config);
    expect(Testing.synth(stack)).toMatch(new RegExp(`"${name}": .*\\$\\{.*var\\.map`, "s"));
  });
});
