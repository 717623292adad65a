import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function roleSettings(_stack: TerraformStack, orders: GracefulFunction): void {
  const { resource, role } = orders;
  resource.description = "Takes orders";
  if (role.resource) role.resource.permissionsBoundary = "arn:aws:iam::123456789012:policy/boundary";
  role.allow("pictures", [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::pictures/*" }]);
  // AWS refuses to delete a security group while Lambda keeps the function's network interfaces in it.
  resource.replaceSecurityGroupsOnDestroy = true;
}
