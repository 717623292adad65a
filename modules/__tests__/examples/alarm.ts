import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

/** The function has `environment: { SHUTDOWN_METRICS_NAMESPACE: "Orders" }`. */
export function alarm(stack: TerraformStack, orders: GracefulFunction): void {
  new CloudwatchMetricAlarm(stack, "hooks-not-done", {
    alarmName: "orders-shutdown",
    alarmDescription: "A clean-up at shutdown failed or ran out of time",
    namespace: "Orders",
    metricName: "hooksNotDone",
    dimensions: { functionName: orders.functionName },
    statistic: "Sum",
    period: 300,
    evaluationPeriods: 1,
    threshold: 0,
    comparisonOperator: "GreaterThanThreshold",
    treatMissingData: "notBreaching",
  });
}
