import { AppautoscalingPolicy } from "@cdktf/provider-aws/lib/appautoscaling-policy";
import { AppautoscalingTarget } from "@cdktf/provider-aws/lib/appautoscaling-target";
import { LambdaAlias } from "@cdktf/provider-aws/lib/lambda-alias";
import { LambdaProvisionedConcurrencyConfig } from "@cdktf/provider-aws/lib/lambda-provisioned-concurrency-config";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function provisionedConcurrency(stack: TerraformStack, orders: GracefulFunction): void {
  orders.resource.publish = true;
  const { functionName, resource } = orders;
  const live = new LambdaAlias(stack, "live", { name: "live", functionName, functionVersion: resource.version });
  const kept = new LambdaProvisionedConcurrencyConfig(stack, "live-environments", {
    functionName,
    qualifier: live.name,
    provisionedConcurrentExecutions: 2,
    // Application Auto Scaling changes the number later.
    lifecycle: { ignoreChanges: ["provisioned_concurrent_executions"] },
  });
  const target = new AppautoscalingTarget(stack, "live-scaling", {
    serviceNamespace: "lambda",
    scalableDimension: "lambda:function:ProvisionedConcurrency",
    resourceId: `function:${functionName}:${live.name}`,
    minCapacity: 2,
    maxCapacity: 20,
    dependsOn: [kept],
  });
  new AppautoscalingPolicy(stack, "live-utilization", {
    name: "orders-utilization",
    policyType: "TargetTrackingScaling",
    serviceNamespace: target.serviceNamespace,
    scalableDimension: target.scalableDimension,
    resourceId: target.resourceId,
    targetTrackingScalingPolicyConfiguration: {
      targetValue: 0.7,
      predefinedMetricSpecification: { predefinedMetricType: "LambdaProvisionedConcurrencyUtilization" },
    },
  });
}
