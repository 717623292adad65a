import { EfsAccessPoint } from "@cdktf/provider-aws/lib/efs-access-point";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

/** The function is in a VPC that has a mount target of the file system. */
export function fileSystem(stack: TerraformStack, orders: GracefulFunction): void {
  const files = new EfsAccessPoint(stack, "files", { fileSystemId: "fs-0123456789abcdef0" });
  orders.role.allow("files", [
    {
      Effect: "Allow",
      Action: ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
      Resource: files.fileSystemArn,
    },
  ]);
  orders.resource.putFileSystemConfig({ arn: files.arn, localMountPath: "/mnt/files" });
}
