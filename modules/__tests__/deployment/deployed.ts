import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTerraformParts, type TerraformParts } from "./terraform-parts";

/** Of one test file; gone after its tests. */
export const scratch = mkdtempSync(join(tmpdir(), "deployment-"));
afterAll(() => {
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
      tests(parts);
    });
  }
}

/** Arguments and blocks that a plan changes, without `logging_config` of a function, which moto 5.2 does not keep. */
export function changesOf(plan: string): readonly string[] {
  return plan.replaceAll(/\+ logging_config \{[^}]*\}/g, "").match(/^ +[-+~] (?!resource |update in-place).*$/gm) ?? [];
}
