/** Two teams' constructs with the same ids in one stack, its state in S3, deployed by a stored plan: real Terraform, moto's API. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import type { AwsApi } from "./aws-api";
import { deployed, scratch, startApi, startProject } from "./deployed";
import type { CommandResult, Project } from "./project";

const TEAMS = ["orders", "sales"];
const BUCKET = "terraform-state";

/** An app as a team writes it. */
function app(apiUrl: string, runtime: string): string {
  return `
import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, S3Backend, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction, ShutdownExtension } from "lambda-graceful-shutdown-cdktf";

class Team extends Construct {
  public constructor(scope: Construct, id: string) {
    super(scope, id);
    new GracefulFunction(this, "function", {
      region: "us-east-1",
      functionName: id,
      code: { entry: \`\${id}.ts\` },
      runtime: "${runtime}",
      shutdownExtension: ShutdownExtension.internal(),
    });
  }
}

const app = new App();
const stack = new TerraformStack(app, "graceful-shutdown");
new AwsProvider(stack, "aws", { region: "us-east-1" });
new ArchiveProvider(stack, "archive");
for (const team of ${JSON.stringify(TEAMS)}) new Team(stack, team);
new S3Backend(stack, {
  bucket: "${BUCKET}",
  key: "teams.tfstate",
  region: "us-east-1",
  endpoints: { s3: "${apiUrl}" },
  usePathStyle: true,
  skipCredentialsValidation: true,
  skipRequestingAccountId: true,
  skipMetadataApiCheck: true,
  skipS3Checksum: true,
});
app.synth();
`;
}

deployed((parts) => {
  let api: AwsApi;
  let project: Project;
  /** What a second machine gets of the first one's: all that is synthesized, and the plan. */
  const elsewhere = join(scratch, "elsewhere");

  beforeAll(async () => {
    api = await startApi();
    project = await startProject(parts, api);
    project.write("main.ts", app(api.url, parts.awsIsOlder ? "nodejs22.x" : "nodejs24.x"));
    for (const team of TEAMS)
      project.write(`${team}.ts`, `export const handler = async () => Promise.resolve("${team}");\n`);
    const created = await fetch(`${api.url}/${BUCKET}`, { method: "PUT" });
    if (!created.ok) throw new Error(`moto: ${created.status} for the bucket`);
  }, 60_000);

  /** Requests that made something, but for the state's. */
  function made(): string[] {
    return api.changes.filter(({ service }) => service !== "s3").map(({ service, action }) => `${service} ${action}`);
  }

  function zips(directory: string): string[] {
    return readdirSync(directory).filter((name) => name.endsWith(".zip"));
  }

  /** What a function answers whose zip arrived at the API. */
  function answer(team: string): string {
    const upload = api.changes
      .filter(({ service, action }) => service === "lambda" && /^POST .*\/functions\/?$/.test(action))
      .map(({ body }) => JSON.parse(body.toString()) as { FunctionName: string; Code: { ZipFile: string } })
      .find(({ FunctionName }) => FunctionName === team);
    const directory = join(scratch, `arrived-${team}`);
    mkdirSync(directory);
    for (const [name, content] of Object.entries(unzipSync(Buffer.from(upload?.Code.ZipFile ?? "", "base64")))) {
      writeFileSync(join(directory, name), content);
    }
    const call = `import("./index.mjs").then(({ handler }) => handler({})).then((text) => process.stdout.write(text))`;
    return execFileSync(process.execPath, ["-e", call], { cwd: directory, encoding: "utf8" });
  }

  function apply(directory: string): Promise<CommandResult> {
    return project.terraform(["apply", "-auto-approve", "stored.plan"], undefined, directory);
  }

  test("a plan is stored, and its two archives are written", async () => {
    expect(await project.cdktf("diff")).toMatchObject({ status: 0 });
    expect(await project.terraform(["plan", "-out=stored.plan"])).toMatchObject({ status: 0 });
    expect(zips(project.stackDirectory)).toEqual(TEAMS.map((team) => `${team}_function.zip`));
    api.forget();
  });

  test("applied where the archives are missing, it creates nothing and says why", async () => {
    cpSync(project.stackDirectory, elsewhere, {
      recursive: true,
      filter: (name) => !name.endsWith(".zip"),
      verbatimSymlinks: true,
    });
    const { status, output } = await apply(elsewhere);
    expect(status).toBe(1);
    expect(output.replaceAll(/[\s│]+/g, " ")).toMatch(
      /orders_function\.zip is not the archive that was planned\. Apply a stored plan in the directory where it was made/,
    );
    expect(made()).toEqual([]);
  });

  test("applied with them, it deploys each team's own code", async () => {
    // The attempt above has written to the state, which makes a plan stale.
    expect(await project.terraform(["plan", "-out=stored.plan"])).toMatchObject({ status: 0 });
    for (const name of [...zips(project.stackDirectory), "stored.plan"]) {
      cpSync(join(project.stackDirectory, name), join(elsewhere, name));
    }
    expect(await apply(elsewhere)).toMatchObject({ status: 0 });
    expect(TEAMS.map(answer)).toEqual(TEAMS);
  });

  test("the state in S3 has both, and another plan has nothing to do", async () => {
    const { output } = await project.terraform(["state", "list"]);
    for (const team of TEAMS) expect(output).toContain(`aws_lambda_function.${team}_function_lambda_`);
    expect((await project.terraform(["plan", "-detailed-exitcode"])).status).toBe(0);
  });
});
