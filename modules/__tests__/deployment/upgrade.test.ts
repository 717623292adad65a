/** Stacks that earlier states of this repository have deployed, and what today's plan makes of them. */
import { LambdaClient, PublishLayerVersionCommand } from "@aws-sdk/client-lambda";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { startFakeArchive } from "./fake-archive";
import { AwsApi } from "./aws-api";
import { deployed, scratch } from "./deployed";
import { Project } from "./project";

/** What `main.ts` synthesized on these days. */
const EARLIER = join(__dirname, "earlier");
const LAYER = { account: "580247275435", name: "LambdaInsightsExtension-Arm64", number: 27 };

interface Stack {
  readonly data: { readonly archive_file: Readonly<Record<string, { readonly source_dir: string }>> };
}

deployed((parts) => {
  jest.setTimeout(300_000);
  let api: AwsApi;

  beforeAll(async () => {
    api = await AwsApi.start({ account: LAYER.account });
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    const lambda = new LambdaClient({ endpoint: api.url, region: "us-east-1", credentials });
    const layer = new PublishLayerVersionCommand({ LayerName: LAYER.name, Content: { ZipFile: Buffer.from("-") } });
    for (let number = 1; number <= LAYER.number; number += 1) await lambda.send(layer);
  }, 60_000);

  afterAll(() => api.stop());

  test.each(readdirSync(EARLIER))("a stack of %s is changed in place", async (file) => {
    const directory = mkdtempSync(join(scratch, `${basename(file, ".json")}-`));
    const project = new Project({ directory, parts, apiUrl: api.url });
    const archive = parts.hasArchive ? undefined : await startFakeArchive(project.stackDirectory);
    project.reattach = archive?.reattach;
    const runtime = (text: string): string => (parts.awsIsOlder ? text.replace("nodejs24.x", "nodejs22.x") : text);
    const stack = JSON.parse(runtime(readFileSync(join(EARLIER, file), "utf8"))) as Stack & { terraform: object };
    const state = join(directory, "terraform.graceful-shutdown.tfstate");
    const terraform = { ...stack.terraform, backend: { local: { path: state } } };
    const [code] = Object.values(stack.data.archive_file);
    const source = join(project.stackDirectory, code?.source_dir.replace("${path.module}", "") ?? "");
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, "index.mjs"), "export const handler = async () => 1;\n");
    writeFileSync(project.synthesizedFile, JSON.stringify({ ...stack, terraform }));
    copyFileSync(join(directory, "override.tf.json"), join(project.stackDirectory, "override.tf.json"));

    for (const args of [["init"], ["apply", "-auto-approve"]]) {
      const result = await project.terraform(args);
      if (result.status !== 0) throw new Error(result.output);
    }
    if (parts.awsIsOlder) project.edit("main.ts", /nodejs24\.x/, "nodejs22.x");
    const { status, output } = await project.cdktf("diff");
    expect(output).toMatch(/Plan: 0 to add, \d+ to change, 0 to destroy/);
    expect(status).toBe(0);
    expect(await project.terraform(["destroy", "-auto-approve"])).toMatchObject({ status: 0 });
    archive?.stop();
  });
});
