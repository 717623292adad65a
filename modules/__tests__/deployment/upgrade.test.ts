/** Stacks that earlier states of this repository have deployed, and what today's plan makes of them. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AwsApi } from "./aws-api";
import { clientOf, deployed, publishLayer, startApi, startProject } from "./deployed";

/** What `main.ts` synthesized on these days. */
const EARLIER = join(__dirname, "earlier");
const LAYER = { account: "580247275435", name: "LambdaInsightsExtension-Arm64", number: 27 };

interface Stack {
  readonly data: { readonly archive_file: Readonly<Record<string, { readonly source_dir: string }>> };
}

deployed((parts) => {
  let api: AwsApi;

  beforeAll(async () => {
    api = await startApi(LAYER.account);
    await publishLayer(clientOf(api), LAYER.name, LAYER.number);
  }, 60_000);

  test.each(readdirSync(EARLIER))("a stack of %s is changed in place", async (file) => {
    const project = await startProject(parts, api);
    const directory = resolve(project.stackDirectory, "../../..");
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
    const { status, output } = await project.cdktf("diff");
    expect(output).toMatch(/Plan: 0 to add, \d+ to change, 0 to destroy/);
    expect(status).toBe(0);
    expect(await project.terraform(["destroy", "-auto-approve"])).toMatchObject({ status: 0 });
  });
});
