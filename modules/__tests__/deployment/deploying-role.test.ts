/** docs/ci.md lists what Terraform changes when it deploys and destroys: real Terraform, moto's API. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AwsApi } from "./aws-api";
import { deployed, startApi, startProject } from "./deployed";
import type { Project } from "./project";

/** Of the table in docs/ci.md, where a name without a service has that of the name before it. */
function listedActions(): readonly string[] {
  const table =
    readFileSync(join(__dirname, "../../../docs/ci.md"), "utf8")
      .split(/^## /m)
      .find((each) => each.includes("iam:CreateRole")) ?? "";
  let service = "";
  return [...table.matchAll(/`(?:(\w+):)?([A-Z][A-Za-z]+)`/g)].map(([, named, action = ""]) => {
    service = named ?? service;
    return `${service}:${action}`;
  });
}

deployed((parts) => {
  let api: AwsApi;
  let project: Project;

  beforeAll(async () => {
    api = await startApi();
    project = await startProject(parts, api);
    // moto has no layer of Insights.
    const internal = "shutdownExtension: ShutdownExtension.internal(),\n} satisfies GracefulFunctionConfig";
    project.edit("main.ts", /} satisfies GracefulFunctionConfig/, internal);
    project.edit("main.ts", /^/, 'import { ShutdownExtension } from "lambda-graceful-shutdown-cdktf";\n');
  }, 60_000);

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
});
