import { CloudwatchLogMetricFilter } from "@cdktf/provider-aws/lib/cloudwatch-log-metric-filter";
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

  // Lambda writes one of the first for each environment that begins, the library one of the second when it ends.
  const patterns = { begun: '?INIT_START ?"platform.initStart"', ended: '{ $.event = "shutdown" }' };
  for (const [name, pattern] of Object.entries(patterns)) {
    new CloudwatchLogMetricFilter(stack, `environments-${name}`, {
      name: `orders-environments-${name}`,
      logGroupName: orders.logGroupName,
      pattern,
      metricTransformation: { namespace: "Orders", name, value: "1" },
      dependsOn: [orders.resource],
    });
  }
  const metric = (metricName: string) => ({ namespace: "Orders", metricName, stat: "Sum", period: 86_400 });
  new CloudwatchMetricAlarm(stack, "no-line", {
    alarmName: "orders-shutdown-without-line",
    alarmDescription: "Environments ended without the line of the shutdown",
    metricQuery: [
      { id: "begun", metric: metric("begun") },
      { id: "ended", metric: metric("ended") },
      { id: "missing", expression: "FILL(begun, 0) - FILL(ended, 0)", returnData: true },
    ],
    evaluationPeriods: 1,
    // More than the environments that are still alive at the end of a day.
    threshold: 20,
    comparisonOperator: "GreaterThanThreshold",
    treatMissingData: "notBreaching",
  });
}
