import { arnProblems, KMS_KEY } from "../terraform/arn";
import { choiceProblems, isKnown, problem } from "../terraform/settings-error";

/**
 * What CloudWatch accepts:
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
 */
export const RETENTION_DAYS = [
  0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const;

const CREATORS = ["stack", "Lambda"] as const;
const FORMATS = ["Text", "JSON"] as const;

/** From most to least, https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html */
const APPLICATION_LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;
const SYSTEM_LEVELS = ["DEBUG", "INFO", "WARN"] as const;

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html */
const CLASSES = ["STANDARD", "INFREQUENT_ACCESS"] as const;

/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html */
const NAME = /^(?!aws\/)[\w./#-]{1,512}$/;

export interface LogGroup {
  /**
   * Name of the log group. Two functions may share one that neither of them creates.
   * @default "/aws/lambda/<functionName>"
   */
  readonly name?: string;

  /**
   * Class of the log group. "INFREQUENT_ACCESS" costs half as much, but CloudWatch reads no metrics from its lines, so
   * the synthesis refuses it with SHUTDOWN_METRICS_NAMESPACE. A change of the class replaces the log group.
   * @default "STANDARD"
   */
  readonly class?: (typeof CLASSES)[number];

  /**
   * Keep the log group and its lines when the stack is destroyed. Terraform then forgets it.
   * @default false
   */
  readonly skipDestroy?: boolean;

  /**
   * Who creates the log group. The stack destroys its own. A group that Lambda creates stays, keeps every line for
   * ever, and the function needs the permission to create it. Use "Lambda" also if the group exists and you do not want
   * to import it.
   * @default "stack"
   */
  readonly createdBy?: (typeof CREATORS)[number];

  /**
   * Days that CloudWatch keeps a line. CloudWatch accepts certain numbers only; 0 means for ever.
   * @default 365 - the least that the usual scanners accept
   */
  readonly retentionDays?: number;

  /**
   * ARN of the KMS key that encrypts the log group. Its key policy must allow CloudWatch Logs to use it.
   * @default - CloudWatch's own key
   */
  readonly kmsKeyArn?: string;

  /**
   * Format of the lines that Lambda and the runtime write. The levels need "JSON".
   * @default "Text"
   */
  readonly format?: (typeof FORMATS)[number];

  /**
   * Lambda drops the function's lines below this level.
   * @default "INFO" with JSON, as Lambda has it
   */
  readonly applicationLevel?: (typeof APPLICATION_LEVELS)[number];

  /**
   * Lambda drops its own lines below this level.
   * @default "INFO" with JSON, as Lambda has it
   */
  readonly systemLevel?: (typeof SYSTEM_LEVELS)[number];
}

/** What is wrong with the settings of a log group; empty if nothing is. */
export function logGroupProblems(logGroup: LogGroup, environment: Readonly<Record<string, string>> = {}): string[] {
  const { name, createdBy, retentionDays, kmsKeyArn, skipDestroy, format = "Text" } = logGroup;
  const { applicationLevel, systemLevel } = logGroup;
  const problems = [
    ...(name === undefined || !isKnown(name) || NAME.test(name)
      ? []
      : [problem("logGroup.name", name, "is not 1 to 512 letters, digits and ./#_- that do not begin with aws/")]),
    ...choiceProblems("logGroup.class", logGroup.class, CLASSES),
    ...choiceProblems("logGroup.createdBy", createdBy, CREATORS),
    ...choiceProblems<number>("logGroup.retentionDays", retentionDays, RETENTION_DAYS),
    ...arnProblems("logGroup.kmsKeyArn", kmsKeyArn, KMS_KEY),
    ...choiceProblems("logGroup.format", format, FORMATS),
    ...choiceProblems("logGroup.applicationLevel", applicationLevel, APPLICATION_LEVELS),
    ...choiceProblems("logGroup.systemLevel", systemLevel, SYSTEM_LEVELS),
  ];
  if (logGroup.class === "INFREQUENT_ACCESS" && environment["SHUTDOWN_METRICS_NAMESPACE"] !== undefined) {
    const expectation =
      'does not support metrics in log lines. Remove environment.SHUTDOWN_METRICS_NAMESPACE or set "STANDARD"';
    problems.push(problem("logGroup.class", logGroup.class, expectation));
  }
  for (const [name, value] of Object.entries({ retentionDays, kmsKeyArn, class: logGroup.class, skipDestroy })) {
    if (createdBy === "Lambda" && value !== undefined) {
      problems.push(
        problem(`logGroup.${name}`, value, 'has no effect with logGroup.createdBy "Lambda". Remove it or set "stack"'),
      );
    }
  }
  for (const [name, value] of Object.entries({ applicationLevel, systemLevel })) {
    if (format === "Text" && value !== undefined) {
      problems.push(problem(`logGroup.${name}`, value, 'needs logGroup.format "JSON"'));
    }
  }
  return problems;
}
