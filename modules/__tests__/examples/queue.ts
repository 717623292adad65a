import { LambdaEventSourceMapping } from "@cdktf/provider-aws/lib/lambda-event-source-mapping";
import { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function queue(stack: TerraformStack, orders: GracefulFunction): void {
  // Six times the function's timeout, as AWS advises.
  const messages = new SqsQueue(stack, "messages", { name: "orders", visibilityTimeoutSeconds: 360 });
  const mayReceive = orders.role.allow("queue", [
    {
      Effect: "Allow",
      Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
      Resource: messages.arn,
    },
  ]);
  new LambdaEventSourceMapping(stack, "messages-source", {
    eventSourceArn: messages.arn,
    functionName: orders.arn,
    dependsOn: [mayReceive],
  });
}
