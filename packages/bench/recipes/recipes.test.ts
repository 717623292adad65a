/** Each folder of examples/ is checked with the tool that its reader uses. moto stands in for AWS's API. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateFunctionCommand, GetFunctionConfigurationCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { zipSync } from "fflate";
import { AwsApi } from "../../../modules/__tests__/deployment/aws-api";
import { deployed, scratch } from "../../../modules/__tests__/deployment/deployed";
import { cachedFolder } from "../../lab/lambda/toolchain-cache";

const ROOT = join(__dirname, "../../..");
const WRAPPER = { AWS_LAMBDA_EXEC_WRAPPER: "/opt/graceful-shutdown" };
const REGION = "eu-west-1";
const MAKE_MINUTES = 5;

jest.setTimeout(MAKE_MINUTES * 60_000);

let npmTools: string;
let pythonTools: string | undefined;

beforeAll(() => {
  npmTools = tools(["package.json", "package-lock.json"], (folder) => {
    run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], folder);
  });
  if (spawnSync("python3", ["-m", "venv", "--help"]).status === 0) {
    pythonTools = tools(["requirements.txt"], (folder) => {
      run("python3", ["-m", "venv", "venv"], folder);
      run("venv/bin/python", ["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"], folder);
    });
  }
});

/** The tools at the versions that these files name, installed once. */
function tools(files: readonly string[], install: (folder: string) => void): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(fs.readFileSync(join(__dirname, file)));
  return cachedFolder(`recipes-${hash.digest("hex").slice(0, 16)}`, (folder) => {
    for (const file of files) fs.cpSync(join(__dirname, file), join(folder, file));
    install(folder);
  });
}

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, args, { cwd, stdio: "pipe", timeout: MAKE_MINUTES * 60_000 });
}

/** A program of a virtual environment by its module: the scripts beside it name the folder in which they were made. */
function python(...args: readonly string[]): readonly [string, readonly string[]] {
  if (pythonTools === undefined)
    throw new Error("python3 with venv is not on this machine: apt-get install python3-venv");
  return [join(pythonTools, "venv/bin/python"), args];
}

/** An example in a folder of its own, with the package and a function as their reader has them. */
function project(example: string): string {
  const directory = fs.mkdtempSync(join(tmpdir(), `recipe-${example}-`));
  directories.push(directory);
  fs.cpSync(join(ROOT, "examples", example), directory, { recursive: true });
  const modules = join(directory, "node_modules");
  fs.mkdirSync(join(modules, "lambda-graceful-shutdown/layer"), { recursive: true });
  for (const name of fs.readdirSync(join(npmTools, "node_modules"))) {
    fs.symlinkSync(join(npmTools, "node_modules", name), join(modules, name));
  }
  fs.writeFileSync(join(modules, "lambda-graceful-shutdown/layer/graceful-shutdown"), "#!/bin/sh\n");
  const zip = zipSync({ "graceful-shutdown": new Uint8Array() });
  for (const file of ["node_modules/lambda-graceful-shutdown/layer.zip", "orders.zip"]) {
    fs.writeFileSync(join(directory, file), zip);
  }
  fs.mkdirSync(join(directory, "src"));
  for (const file of ["src/index.js", "index.js"])
    fs.writeFileSync(join(directory, file), "exports.handler = async () => 1;");
  return directory;
}

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true });
});

type Properties = Readonly<Record<string, unknown>>;

interface Template {
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties: Properties }>>;
}

function properties({ Resources }: Template, type: string): Properties {
  const found = Object.values(Resources).filter(({ Type }) => Type === type);
  expect(found).toHaveLength(1);
  return found[0]?.Properties ?? {};
}

async function cdk(example: string): Promise<Template> {
  const directory = project(example);
  const env = { ...process.env, CDK_OUTDIR: join(directory, "cdk.out") };
  await promisify(execFile)(process.execPath, ["--import", require.resolve("tsx"), "app.ts"], { cwd: directory, env });
  return JSON.parse(fs.readFileSync(join(directory, "cdk.out/orders.template.json"), "utf8")) as Template;
}

test("cdk: the function has the layer and the variable", async () => {
  const { Layers, Environment } = properties(await cdk("cdk"), "AWS::Lambda::Function");
  expect(Layers).toEqual([{ Ref: expect.stringContaining("gracefulshutdown") as string }]);
  expect(Environment).toEqual({ Variables: WRAPPER });
});

test("cdk-web-function: its revision has the preload", async () => {
  const revision = properties(await cdk("cdk-web-function"), "AWS::Lambda::WebFunctionRevision");
  expect(JSON.stringify(revision)).toContain('"NODE_OPTIONS":"--import=lambda-graceful-shutdown/attach"');
});

test.each(["sam", "sam-web-function"])("%s: the template is valid to SAM and to cfn-lint", async (example) => {
  const template = join(project(example), "template.yaml");
  const [program, args] = python("-m", "samcli", "validate", "--lint", "--template", template, "--region", REGION);
  const env = { ...process.env, SAM_CLI_TELEMETRY: "0" };
  const { stdout, stderr } = await promisify(execFile)(program, args, { env });
  expect(stdout + stderr).toContain("is a valid SAM Template");
});

test("sst, container-image and aws-cli use the names that the layer and the package have", () => {
  const text = (file: string): string => fs.readFileSync(join(ROOT, "examples", file), "utf8");
  for (const file of ["sst/sst.config.ts", "aws-cli/attach.sh"]) expect(text(file)).toContain("/opt/graceful-shutdown");
  expect(text("container-image/Dockerfile")).toContain("--import=lambda-graceful-shutdown/attach");
  expect(fs.existsSync(join(ROOT, "packages/shutdown"))).toBe(true);
});

deployed((parts) => {
  let api: AwsApi;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    api = await AwsApi.start({ account: "123456789012" });
    const credentials = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key", AWS_REGION: REGION };
    environment = { ...process.env, ...credentials, AWS_DEFAULT_REGION: REGION, AWS_ENDPOINT_URL: api.url };
  });

  afterAll(async () => {
    await api.stop();
  });

  test("serverless: osls gives the function the layer and the variable", async () => {
    const directory = project("serverless");
    const osls = join(npmTools, "node_modules/osls/bin/serverless.js");
    await promisify(execFile)(process.execPath, [osls, "package"], { cwd: directory, env: environment });
    const file = join(directory, ".serverless/cloudformation-template-update-stack.json");
    const template = JSON.parse(fs.readFileSync(file, "utf8")) as Template;
    const { Layers, Environment } = properties(template, "AWS::Lambda::Function");
    expect(Layers).toEqual([{ Ref: "GracefulShutdownLambdaLayer" }]);
    expect(Environment).toEqual({ Variables: WRAPPER });
  });

  test("terraform: the plan has the layer and the variable", async () => {
    const directory = project("terraform");
    const own = { TF_CLI_CONFIG_FILE: parts.cliConfigFile, TF_DATA_DIR: join(scratch, "recipe-terraform") };
    const env = { ...environment, ...own };
    const terraform = async (...args: readonly string[]): Promise<string> =>
      (await promisify(execFile)("terraform", args, { cwd: directory, env, maxBuffer: 2 ** 26 })).stdout;
    await terraform("init", "-input=false");
    await terraform("plan", "-input=false", "-out=plan", "-var=role_arn=arn:aws:iam::123456789012:role/orders");
    const plan = JSON.parse(await terraform("show", "-json", "plan")) as {
      readonly planned_values: {
        readonly root_module: { readonly resources: readonly { readonly type: string; readonly values: object }[] };
      };
    };
    const { resources } = plan.planned_values.root_module;
    const planned = resources.find(({ type }) => type === "aws_lambda_function");
    expect(planned?.values).toMatchObject({ environment: [{ variables: WRAPPER }] });
    expect(resources.map(({ type }) => type)).toContain("aws_lambda_layer_version");
    expect(await terraform("fmt", "-check", "-diff")).toBe("");
  });

  test("aws-cli: the function keeps its variables, and gets the layer and one more", async () => {
    const client = { endpoint: api.url, region: REGION, credentials: { accessKeyId: "id", secretAccessKey: "key" } };
    const [iam, lambda] = [new IAMClient(client), new LambdaClient(client)];
    const { Role } = await iam.send(new CreateRoleCommand({ RoleName: "orders", AssumeRolePolicyDocument: "{}" }));
    const [FunctionName, Handler, Runtime] = ["orders", "index.handler", "nodejs22.x"] as const;
    const Code = { ZipFile: zipSync({ "index.js": new Uint8Array() }) };
    const Environment = { Variables: { LOG_LEVEL: "info" } };
    const made = { FunctionName, Handler, Runtime, Code, Environment, Role: Role?.Arn ?? "" };
    await lambda.send(new CreateFunctionCommand(made));
    const directory = project("aws-cli");
    const [program, args] = python("-m", "awscli");
    fs.writeFileSync(join(directory, "aws"), `#!/bin/sh\nexec '${program}' ${args.join(" ")} "$@"\n`, { mode: 0o755 });
    const env = { ...environment, PATH: `${directory}:${process.env["PATH"] ?? ""}` };
    await promisify(execFile)("sh", ["attach.sh", "orders"], { cwd: directory, env });
    const found = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
    expect(found.Environment?.Variables).toEqual({ LOG_LEVEL: "info", ...WRAPPER });
    expect(found.Layers?.map(({ Arn = "" }) => Arn.split(":").at(-2))).toEqual(["graceful-shutdown"]);
    for (const each of [iam, lambda]) each.destroy();
  });
});
