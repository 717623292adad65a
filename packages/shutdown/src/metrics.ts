import { UniqueNames } from "./unique-names.ts";

/**
 * The fields with which CloudWatch reads metrics from a JSON log line. They need no request:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

interface Line {
  readonly durationMs: number;
  readonly hooks: readonly { readonly name: string; readonly result: string }[];
}

/** Metrics that CloudWatch reads from one line; with more, it reads none. */
const MOST_METRICS = 100;

/**
 * The duration, how many hooks were not done, and each number that a hook resolved with, as `<hook>_<field>`.
 *
 * @param namespace of the metrics; without one there are none
 */
export function embeddedMetrics(line: Line, namespace = process.env["SHUTDOWN_METRICS_NAMESPACE"]): object {
  if (!namespace) return {};
  const counts: Record<string, number> = { hooksNotDone: line.hooks.filter(({ result }) => result !== "done").length };
  const names = new UniqueNames();
  for (const hook of line.hooks) {
    for (const [field, value] of Object.entries(hook)) {
      if (typeof value !== "number" || field === "ms" || Object.keys(counts).length === MOST_METRICS - 1) continue;
      counts[names.next(`${hook.name}_${field}`)] = value;
    }
  }
  const metrics = [
    { Name: "durationMs", Unit: "Milliseconds" },
    ...Object.keys(counts).map((name) => ({ Name: name, Unit: "Count" })),
  ];
  // Not set in a Web Function. CloudWatch drops metrics that have a dimension without a value.
  const functionName = process.env["AWS_LAMBDA_FUNCTION_NAME"];
  return {
    ...counts,
    functionName,
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        { Namespace: namespace, Dimensions: [functionName ? ["functionName"] : []], Metrics: metrics },
      ],
    },
  };
}
