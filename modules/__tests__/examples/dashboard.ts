import { CloudwatchDashboard } from "@cdktf/provider-aws/lib/cloudwatch-dashboard";
import { Fn, type TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

/** The function has `environment: { SHUTDOWN_METRICS_NAMESPACE: "Orders" }`. */
export function dashboard(stack: TerraformStack, orders: GracefulFunction): void {
  const dimensions = ["functionName", orders.functionName];
  const widget = (title: string, stat: string, ...names: readonly string[]): object => ({
    type: "metric",
    width: 12,
    height: 6,
    properties: {
      title,
      stat,
      region: "us-east-1",
      period: 300,
      metrics: names.map((name) => ["Orders", name, ...dimensions]),
    },
  });
  new CloudwatchDashboard(stack, "dashboard", {
    dashboardName: "orders-shutdown",
    dashboardBody: Fn.jsonencode({
      widgets: [
        widget("Environments that ended", "SampleCount", "durationMs"),
        widget("Milliseconds to shut down", "p99", "durationMs"),
        widget("Hooks that were not done", "Sum", "hooksNotDone"),
      ],
    }),
  });
}
