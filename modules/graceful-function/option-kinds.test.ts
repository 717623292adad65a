import { Testing, TerraformVariable, Token, type TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction, type GracefulFunctionConfig } from "./graceful-function";
import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import { MysqlDatabase } from "../mysql-database/mysql-database";
import { attachShutdown } from "../shutdown-layer/attach-shutdown";
import { ShutdownLayer } from "../shutdown-layer/shutdown-layer";
import { ConstructSettingsError } from "../terraform/construct-settings-error";
import { HANDLER, project } from "../__tests__/code-project";
import { ENTRY, FUNCTION, newStack, SECRET_ARN } from "../__tests__/synthesis";

type Settings = Readonly<Record<string, unknown>>;

const SECRET = { type: "secret", secretArn: SECRET_ARN, kmsKeyArn: "k" };

/** Every option of every level, with values that are right. */
const FULL: GracefulFunctionConfig = {
  ...FUNCTION,
  code: {
    entry: ENTRY,
    external: ["a"],
    install: [],
    copy: [],
    loader: { ".sql": "text" },
    sourceMap: false,
    awsSdk: "runtime",
  },
  architecture: "arm64",
  runtime: "nodejs24.x",
  memorySize: 512,
  timeout: 5,
  ephemeralStorage: 512,
  shutdownExtension: ShutdownExtension.internal(),
  database: {
    host: "db.example.com",
    port: 3306,
    name: "orders",
    user: "orders",
    auth: SECRET as { type: "secret"; secretArn: string },
    tlsServerName: "db.example.com",
    connectionLimit: 1,
    maxConnections: 60,
  },
  environment: { LEVEL: "info" },
  layers: ["arn:aws:lambda:us-east-1:123456789012:layer:tools:1"],
  reservedConcurrency: 1,
  tracing: "Active",
  vpc: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"], reachesLogs: true },
  logGroup: {
    name: "/orders",
    createdBy: "stack",
    retentionDays: 30,
    kmsKeyArn: "k",
    format: "JSON",
    applicationLevel: "WARN",
    systemLevel: "WARN",
  },
  role: { name: "orders", arn: "arn:aws:iam::123456789012:role/orders" },
  formerId: "other",
  tags: { team: "orders" },
};
const DATABASE = {
  region: "us-east-1",
  name: "orders",
  databaseName: "orders",
  instanceClass: "db.t4g.micro",
  parameters: { max_connections: "60" },
  iamAuthentication: true,
  deletionProtection: true,
  endpoints: ["logs"],
  tags: { team: "orders" },
};
const STATEMENT = { Sid: "Send", Effect: "Allow", Action: "sqs:SendMessage", Resource: ["*"], Condition: {} };

/** What takes options, with settings that are right. */
const SUBJECTS: readonly (readonly [string, Settings, (stack: TerraformStack, settings: never) => unknown])[] = [
  ["GracefulFunction", FULL as never, (stack, settings) => new GracefulFunction(stack, "it", settings)],
  [
    "GracefulFunction of a directory",
    { ...FUNCTION, code: { directory: project({ "index.mjs": HANDLER }), handler: "index.handler" } },
    (stack, settings) => new GracefulFunction(stack, "it", settings),
  ],
  [
    "GracefulFunction of an image with IAM log-in",
    {
      ...FUNCTION,
      code: { image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/orders:1" },
      database: { host: "db", name: "orders", user: "orders", auth: { type: "iam", resourceId: "db-1" } },
    },
    (stack, settings) => new GracefulFunction(stack, "it", settings),
  ],
  ["MysqlDatabase", DATABASE, (stack, settings) => new MysqlDatabase(stack, "it", settings)],
  [
    "role.allow",
    { name: "queue", statements: [STATEMENT] },
    (stack, policy: { name: never; statements: never } | null) =>
      new GracefulFunction(stack, "it", FUNCTION).role.allow(policy?.name as never, policy?.statements as never),
  ],
  [
    "ShutdownLayer",
    { layerName: "a", content: project({ "graceful-shutdown": "", "lambda-graceful-shutdown/attach.mjs": "" }) },
    (stack, settings) => new ShutdownLayer(stack, "it", settings),
  ],
  [
    "attachShutdown",
    { layerArn: "arn:aws:lambda:us-east-1:123456789012:layer:a:1", variable: "NODE_OPTIONS" },
    (stack, settings) => {
      attachShutdown(new Construct(stack, "it"), settings);
    },
  ],
];

/** Values of every kind that an app can hold, also by mistake. */
const VALUES: Readonly<Record<string, (stack: TerraformStack) => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  "an empty text": () => "",
  "a text": () => "text",
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  zero: () => 0,
  "a negative number": () => -1,
  "a fraction": () => 0.5,
  "a big number": () => 10n,
  true: () => true,
  "an empty list": () => [],
  "a list of undefined": () => [undefined],
  "a list of null": () => [null],
  "a list of empty texts": () => [""],
  "a list of lists": () => [[]],
  "an empty map": () => ({}),
  "a map of undefined": () => ({ a: undefined }),
  "a map of numbers": () => ({ a: 1 }),
  "a map without a prototype": () => Object.assign(Object.create(null) as object, { a: "b" }),
  "a circle": () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    return circle;
  },
  "a function": () => () => 1,
  "a symbol": () => Symbol("it"),
  "a date": () => new Date(0),
  "a regular expression": () => /a/,
  "a construct": (stack) => new Construct(stack, "value"),
  "a text of Terraform": () => "${var.text}",
  "a text token": (stack) => new TerraformVariable(stack, "value", { type: "string" }).stringValue,
  "a number token": (stack) => new TerraformVariable(stack, "value", { type: "number" }).numberValue,
  "a list token": (stack) => new TerraformVariable(stack, "value", { type: "list(string)" }).listValue,
  "a map token": (stack) => Token.asStringMap(new TerraformVariable(stack, "value", { type: "map(string)" }).value),
  "a token": (stack) => new TerraformVariable(stack, "value", { type: "any" }).value as unknown,
};

/** Paths of all options of settings, such as `database.auth.type` and `layers.0`. */
function optionPaths(settings: unknown, above: readonly string[] = []): string[][] {
  const isPlain =
    typeof settings === "object" &&
    settings !== null &&
    [Object.prototype, Array.prototype].includes(Object.getPrototypeOf(settings) as object);
  const own = above.length === 0 ? [] : [[...above]];
  return isPlain
    ? [...own, ...Object.entries(settings).flatMap(([name, each]) => optionPaths(each, [...above, name]))]
    : own;
}

function changed(settings: unknown, [name = "", ...rest]: readonly string[], value: unknown): unknown {
  const copy = Array.isArray(settings) ? [...(settings as unknown[])] : { ...(settings as object) };
  const fields = copy as Record<string, unknown>;
  fields[name] = rest.length === 0 ? value : changed(fields[name], rest, value);
  return copy;
}

/** `layers[0]` */
function shown(names: readonly string[]): string {
  return names
    .map((name) => (/^\d+$/.test(name) ? `[${name}]` : `.${name}`))
    .join("")
    .slice(1);
}

describe.each(SUBJECTS)("%s", (title, settings, make) => {
  const paths = optionPaths(settings);

  test("is made of settings that are right", () => {
    expect(() => make(newStack(), settings as never)).not.toThrow();
  });

  test.each(paths.map((names) => [shown(names), names] as const))(
    "%s takes a value or names what is wrong",
    (option, names) => {
      for (const [kind, valueOf] of Object.entries(VALUES)) {
        const stack = newStack();
        const wrong = messageOf(() => {
          make(stack, changed(settings, names, valueOf(stack)) as never);
          Testing.synth(stack);
        });
        if (wrong === undefined) continue;
        const [root = ""] = option.split(/[.[]/);
        // The construct's path, the option or what it belongs to, and what is wrong with it.
        expect(`${kind}: ${wrong}`).toMatch(
          new RegExp(`^${kind}: test/it.*: ${root}\\b.* (is|are|has|needs|names|times|can) `, "m"),
        );
      }
    },
  );

  test.each(Object.keys(VALUES))("as a whole is not %s", (kind) => {
    const stack = newStack();
    const whole = messageOf(() => make(stack, (VALUES[kind]?.(stack) ?? null) as never));
    if (whole !== undefined) expect(whole).toMatch(/^test\/it/);
  });

  test.each(paths.map((names) => [shown(names), names] as const))(
    "another name than %s is refused",
    (option, names) => {
      const name = names.at(-1) ?? "";
      const parent = names.slice(0, -1).reduce<unknown>((each, key) => (each as Settings)[key], settings);
      const isArgument = title === "role.allow" && names.length === 1;
      const isOption =
        !isArgument && !Array.isArray(parent) && !/(environment|tags|loader|parameters)\.|Condition/.test(option);
      if (!isOption) return;
      const wrong = messageOf(() =>
        make(newStack(), changed(settings, [...names.slice(0, -1), `${name}s1`], "a") as never),
      );
      expect(wrong).toMatch(/is not an option\. (Did you mean|The options are) /);
    },
  );
});

test.each([
  [ShutdownExtension.layer(undefined as never), "shutdownExtension.layer undefined is neither an InsightsLayer nor"],
  [ShutdownExtension.layer(""), 'shutdownExtension.layer "" is neither'],
  [ShutdownExtension.insights("1.0.404.0" as never), 'shutdownExtension.layer "1.0.404.0" is neither'],
  [
    ShutdownExtension.insights(InsightsLayer.version(undefined as never)),
    "shutdownExtension.layer.version is undefined",
  ],
  [ShutdownExtension.insights(InsightsLayer.arn(undefined as never)), "shutdownExtension.layer.arn is undefined"],
  [ShutdownExtension.insights(InsightsLayer.arn("")), 'shutdownExtension.layer.arn "" is empty'],
])("a shutdown extension without its layer is refused: %#", (shutdownExtension, message) => {
  expect(messageOf(() => new GracefulFunction(newStack(), "it", { ...FUNCTION, shutdownExtension }))).toContain(
    message,
  );
});

/** @throws any other error than one about settings */
function messageOf(make: () => unknown): string | undefined {
  try {
    make();
    return undefined;
  } catch (error) {
    if (error instanceof ConstructSettingsError) return error.message;
    throw error;
  }
}
