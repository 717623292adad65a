import { TerraformStack, type App } from "cdktf";
import { rmSync } from "node:fs";
import path from "node:path";

/**
 * Removes the output of an earlier synthesis in the other format. CDKTF writes `cdk.tf.json`, or
 * `cdk.tf` with `--hcl`, and does not delete the other file. Terraform then reads both and refuses the duplicates.
 */
export function removeEarlierOutput(app: App): void {
  const file = app.hclOutput ? "cdk.tf.json" : "cdk.tf";
  for (const stack of app.node.children.filter((child) => TerraformStack.isStack(child))) {
    rmSync(path.join(app.outdir, "stacks", stack.node.id, file), { force: true });
  }
}
