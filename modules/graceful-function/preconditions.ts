import type { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { App, Op, type IResolvable, type Precondition, type TerraformResource } from "cdktf";
import { call } from "../terraform/terraform-text";

/**
 * Planning writes the archive, and a stored plan does not contain it. Applied elsewhere, the plan would create role and
 * log group and then find no archive. With this condition it creates nothing.
 */
export class ArchivePrecondition implements Precondition {
  public readonly condition: IResolvable;
  public readonly errorMessage: string;

  public constructor({ outputPath, outputBase64Sha256 }: DataArchiveFile) {
    // filebase64sha256 fails if the file does not exist.
    const isPlanned = Op.eq(call("filebase64sha256", outputPath), outputBase64Sha256);
    this.condition = call("try", isPlanned, false);
    this.errorMessage =
      `${outputPath} is not the archive that was planned. Apply a stored plan in the directory where it ` +
      "was made, or copy the archive there. Or plan again.";
  }
}

/** Adds conditions that fail the plan, or the apply of a stored plan, before the resource is touched. */
export function addPreconditions(resource: TerraformResource, preconditions: readonly Precondition[]): void {
  if (preconditions.length === 0) return;
  const all = [...(resource.lifecycle?.precondition ?? []), ...preconditions];
  resource.lifecycle = { ...resource.lifecycle, precondition: all };
  if (!App.of(resource).hclOutput) return;
  // CDKTF 0.21 writes conditions as an argument, which is not valid HCL; this makes blocks of them.
  const value = all.map(({ condition, errorMessage }) => ({
    condition: condition as unknown,
    error_message: errorMessage,
  }));
  resource.addOverride("lifecycle", { value: { precondition: { value, type: "list", isBlock: true } } });
}
