/** The CDKTF commands of the README, through the real CLI: CDK Terrain's in a fork that has moved (docs/cdktn.md). */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mainSetting } from "./main-settings";

const ROOT = join(__dirname, "..");
const CLI = ["cdktf", "cdktn"].map((name) => join(ROOT, "node_modules/.bin", name)).find(existsSync) ?? "no CLI";
const outdir = mkdtempSync(join(tmpdir(), "cdktf-"));
afterAll(() => {
  rmSync(outdir, { recursive: true, force: true });
});

function cdktf(...args: readonly string[]): void {
  // No credentials and no network: a proxy that nobody answers at, and a home that holds nothing.
  const nowhere = "http://127.0.0.1:9";
  const env = {
    PATH: process.env["PATH"],
    HOME: outdir,
    HTTPS_PROXY: nowhere,
    HTTP_PROXY: nowhere,
    CHECKPOINT_DISABLE: "1",
  };
  execFileSync(CLI, [...args, "--output", outdir], { cwd: ROOT, env, stdio: "pipe" });
}

test("cdktf synth writes the stack as JSON, and with --hcl as HCL with the same content", () => {
  cdktf("synth", "--hcl");
  const stack = join(outdir, "stacks", mainSetting("STACK_NAME"));
  const hcl = readFileSync(join(stack, "cdk.tf"), "utf8");
  expect(hcl).toMatch(/resource "aws_lambda_function" "function_lambda_\w+" \{/);

  cdktf("synth");
  // Terraform would read both, and refuse to deploy.
  expect(existsSync(join(stack, "cdk.tf"))).toBe(false);
  const json = JSON.parse(readFileSync(join(stack, "cdk.tf.json"), "utf8")) as {
    resource: { aws_lambda_function: Record<string, { function_name: string; layers: string[] }> };
  };
  const [lambda] = Object.values(json.resource.aws_lambda_function);
  expect(lambda?.function_name).toBe(mainSetting("functionName"));
  expect(hcl).toContain(`"${lambda?.layers[0] ?? "none"}"`);
});
