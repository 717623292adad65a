/** docs/ci.md lists what Terraform changes when it deploys and destroys: real Terraform, moto's API. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startFakeArchive, type FakeArchive } from "./fake-archive";
import { AwsApi } from "./aws-api";
import { deployed, scratch } from "./deployed";
import { Project } from "./project";
import type { TerraformParts } from "./terraform-parts";

deployed(deploymentTests);

/** Of the table in docs/ci.md, where a name without a service has that of the name before it. */
function listedActions(): readonly string[] {
  const table = readFileSync(join(__dirname, "../../../docs/ci.md"), "utf8").split(/^## /m).find(hasActions) ?? "";
  let service = "";
  return [...table.matchAll(/`(?:(\w+):)?([A-Z][A-Za-z]+)`/g)].map(([, named, action = ""]) => {
    service = named ?? service;
    return `${service}:${action}`;
  });
}

function hasActions(section: string): boolean {
  return section.includes("iam:CreateRole");
}

function deploymentTests(parts: TerraformParts): void {
  jest.setTimeout(280_000);

  let api: AwsApi;
  let project: Project;
  let archive: FakeArchive | undefined;

  beforeAll(async () => {
    api = await AwsApi.start({ account: "123456789012" });
    const directory = join(scratch, "project");
    mkdirSync(directory);
    project = new Project({ directory, parts, apiUrl: api.url });
    if (parts.awsIsOlder) project.edit("main.ts", /runtime: "nodejs\d+\.x"/, 'runtime: "nodejs22.x"');
    // moto has no layer of Insights.
    const internal = "shutdownExtension: ShutdownExtension.internal(),\n} satisfies GracefulFunctionConfig";
    project.edit("main.ts", /} satisfies GracefulFunctionConfig/, internal);
    project.edit("main.ts", /^/, 'import { ShutdownExtension } from "lambda-graceful-shutdown-cdktf";\n');
    if (!parts.hasArchive) {
      archive = await startFakeArchive(project.stackDirectory);
      project.reattach = archive.reattach;
    }
  }, 60_000);

  afterAll(async () => {
    archive?.stop();
    await api.stop();
  });

  /** Changes whose request names its action; those of Lambda are a method and a path. */
  function changed(): string[] {
    const named = api.changes.filter(({ action }) => /^\w+$/.test(action));
    return [...new Set(named.map(({ service, action }) => `${service}:${action}`))];
  }

  test.each([
    ["deploy", "iam:CreateRole"],
    ["destroy", "iam:DeleteRole"],
  ] as const)("cdktf %s asks for listed actions only", async (command, example) => {
    api.forget();
    expect(await project.cdktf(command)).toMatchObject({ status: 0 });
    expect(changed()).toContain(example);
    expect(changed().filter((action) => !listedActions().includes(action))).toEqual([]);
  });
}
