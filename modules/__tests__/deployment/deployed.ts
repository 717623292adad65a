import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { LambdaClient, PublishLayerVersionCommand } from "@aws-sdk/client-lambda";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsApi } from "./aws-api";
import { startFakeArchive } from "./fake-archive";
import { Project } from "./project";
import { findTerraformParts, type TerraformParts } from "./terraform-parts";

/** Of one test file; gone after its tests. */
export const scratch = mkdtempSync(join(tmpdir(), "deployment-"));
const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops) await stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** Tests with the real Terraform and moto's API, or a report of what this machine lacks. */
export function deployed(tests: (parts: TerraformParts) => void): void {
  const parts = findTerraformParts(scratch);
  if ("missing" in parts) {
    test(`deployment not tested: ${parts.missing.join("; ")}`, () => {
      console.warn(`deployment not tested:\n${parts.missing.join("\n")}`);
    });
  } else {
    describe(`deployed with ${parts.description}`, () => {
      jest.setTimeout(400_000);
      tests(parts);
    });
  }
}

/** moto's API until the end of the test file. All of its requests work in one account. */
export async function startApi(account = "123456789012"): Promise<AwsApi> {
  const api = await AwsApi.start({ account });
  stops.push(() => api.stop());
  return api;
}

/** A copy of this project that deploys to the API. */
export async function startProject(parts: TerraformParts, api: AwsApi): Promise<Project> {
  const project = new Project({ directory: mkdtempSync(join(scratch, "project-")), parts, apiUrl: api.url });
  // Providers check the runtime against a list of their own. The lab shows that the same code runs on both.
  if (parts.awsIsOlder) project.edit("main.ts", /runtime: "nodejs\d+\.x"/, 'runtime: "nodejs22.x"');
  if (!parts.hasArchive) {
    const archive = await startFakeArchive(project.stackDirectory);
    stops.push(() => {
      archive.stop();
    });
    project.reattach = archive.reattach;
  }
  return project;
}

/** What the AWS SDK's clients take. */
export function clientOf({ url: endpoint }: AwsApi, region = "us-east-1") {
  return { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
}

/** moto finds a layer by name and number, so every number up to this one has to be taken. */
export async function publishLayer(client: ReturnType<typeof clientOf>, name: string, last: number): Promise<void> {
  const layer = new PublishLayerVersionCommand({ LayerName: name, Content: { ZipFile: Buffer.from("-") } });
  for (let number = 1; number <= last; number += 1) await new LambdaClient(client).send(layer);
}

/** A subnet and a security group of moto's default VPC. */
export async function defaultVpc(client: ReturnType<typeof clientOf>) {
  const ec2 = new EC2Client(client);
  const { Subnets: [subnet] = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({}));
  const group = SecurityGroups.find(({ VpcId }) => VpcId === subnet?.VpcId);
  return { subnetIds: [subnet?.SubnetId ?? ""], securityGroupIds: [group?.GroupId ?? ""] };
}

/** Arguments and blocks that a plan changes, without `logging_config` of a function, which moto 5.2 does not keep. */
export function changesOf(plan: string): readonly string[] {
  return plan.replaceAll(/\+ logging_config \{[^}]*\}/g, "").match(/^ +[-+~] (?!resource |update in-place).*$/gm) ?? [];
}
