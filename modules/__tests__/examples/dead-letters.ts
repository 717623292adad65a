import { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue";
import { dependable, type TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function deadLetters(stack: TerraformStack, orders: GracefulFunction): void {
  const failed = new SqsQueue(stack, "failed", { name: "orders-failed" });
  const maySend = orders.role.allow("dead-letters", [
    { Effect: "Allow", Action: "sqs:SendMessage", Resource: failed.arn },
  ]);
  orders.resource.putDeadLetterConfig({ targetArn: failed.arn });
  // Lambda checks the permission when the function is created.
  orders.resource.dependsOn?.push(dependable(maySend));
}
