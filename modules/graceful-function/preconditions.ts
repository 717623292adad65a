import type { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import type { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { App, Fn, Lazy, Op, type IResolvable, type Precondition, type TerraformResource } from "cdktf";

/** What Lambda takes in a request: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_ARCHIVE_BYTES = 50 * 1024 * 1024;

/**
 * Planning writes the archive, and a stored plan does not contain it. Applied elsewhere, the plan would create role and
 * log group and then find no archive. With this condition it creates nothing.
 */
export function archivePrecondition({ outputPath, outputBase64Sha256 }: DataArchiveFile): Precondition {
  return {
    // filebase64sha256 fails if the file does not exist.
    condition: Fn.try([Op.eq(Fn.filebase64sha256(outputPath), outputBase64Sha256), false]) as IResolvable,
    errorMessage:
      `${outputPath} is not the archive that was planned. Apply a stored plan in the directory where it ` +
      "was made, or copy the archive there. Or plan again.",
  };
}

/** Fails the plan. Lambda refuses such an archive after everything else has been created, unless it comes from S3. */
export function archiveSizePrecondition(zip: DataArchiveFile, lambda: LambdaFunction): Precondition {
  const limit = (): number => (lambda.filenameInput === undefined ? Number.MAX_SAFE_INTEGER : MAX_ARCHIVE_BYTES);
  return {
    condition: Op.lte(zip.outputSize, Lazy.numberValue({ produce: limit })),
    errorMessage: `${zip.outputPath} has more than ${MAX_ARCHIVE_BYTES} bytes, which Lambda takes from S3 only.`,
  };
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
