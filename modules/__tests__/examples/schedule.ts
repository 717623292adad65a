import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function schedule(stack: TerraformStack, orders: GracefulFunction): void {
  const rule = new CloudwatchEventRule(stack, "nightly", { scheduleExpression: "cron(0 3 * * ? *)" });
  new CloudwatchEventTarget(stack, "nightly-target", { rule: rule.name, arn: orders.arn });
  new LambdaPermission(stack, "nightly-may-invoke", {
    action: "lambda:InvokeFunction",
    functionName: orders.functionName,
    principal: "events.amazonaws.com",
    sourceArn: rule.arn,
  });
}
