import { S3Object } from "@cdktf/provider-aws/lib/s3-object";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function packageFromS3(stack: TerraformStack, orders: GracefulFunction): void {
  const { resource } = orders;
  const archive = new S3Object(stack, "archive", {
    bucket: "orders-archives",
    key: "orders.zip",
    source: resource.filenameInput,
    sourceHash: resource.sourceCodeHashInput,
  });
  resource.resetFilename();
  resource.s3Bucket = archive.bucket;
  resource.s3Key = archive.key;
}
