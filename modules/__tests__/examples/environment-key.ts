import { KmsKey } from "@cdktf/provider-aws/lib/kms-key";
import { dependable, type TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function environmentKey(stack: TerraformStack, orders: GracefulFunction): void {
  const key = new KmsKey(stack, "key", { description: "Environment of orders", enableKeyRotation: true });
  orders.resource.kmsKeyArn = key.arn;
  const mayDecrypt = orders.role.allow("environment", [{ Effect: "Allow", Action: "kms:Decrypt", Resource: key.arn }]);
  orders.resource.dependsOn?.push(dependable(mayDecrypt));
}
