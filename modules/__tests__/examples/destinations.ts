import { LambdaFunctionEventInvokeConfig } from "@cdktf/provider-aws/lib/lambda-function-event-invoke-config";
import { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function destinations(stack: TerraformStack, orders: GracefulFunction): void {
  const failed = new SqsQueue(stack, "failed", { name: "orders-failed" });
  const maySend = orders.role.allow("destinations", [
    { Effect: "Allow", Action: "sqs:SendMessage", Resource: failed.arn },
  ]);
  new LambdaFunctionEventInvokeConfig(stack, "asynchronous", {
    functionName: orders.functionName,
    maximumRetryAttempts: 1,
    destinationConfig: { onFailure: { destination: failed.arn } },
    dependsOn: [maySend],
  });
}
