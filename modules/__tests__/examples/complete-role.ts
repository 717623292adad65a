import type { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { dependable, type TerraformStack } from "cdktf";
import { GracefulFunction } from "../../graceful-function/graceful-function";

export function completeRole(stack: TerraformStack): void {
  const orders = new GracefulFunction(stack, "orders", {
    region: "us-east-1",
    functionName: "orders",
    code: { entry: "function/index.ts" },
    role: { name: "orders", arn: "arn:aws:iam::123456789012:role/orders" },
  });
  // The role has every permission already, so the construct's policies go.
  const { node } = orders.role;
  for (const { id } of node.children.map((child) => child.node)) node.tryRemoveChild(id);
  orders.resource.dependsOn = [dependable(orders.node.findChild("log-group") as CloudwatchLogGroup)];
}
