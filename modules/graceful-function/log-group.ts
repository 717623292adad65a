import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import type { LambdaFunctionLoggingConfig } from "@cdktf/provider-aws/lib/lambda-function";
import type { Construct } from "constructs";
import { isKnown, problem } from "../terraform/construct-settings-error";
import { optional, read, type OptionTable } from "../terraform/option-table";

const CREATORS = ["stack", "Lambda"] as const;

export interface LogGroup {
  /**
   * Name. Functions may share a group that none creates.
   * @default "/aws/lambda/<functionName>"
   */
  readonly name?: string;

  /**
   * Who creates it. The stack destroys its own; "Lambda" is also for an existing group.
   * @default "stack"
   */
  readonly createdBy?: (typeof CREATORS)[number];

  /**
   * Days to keep a line; 0 means for ever.
   * @default 365
   */
  readonly retentionDays?: number;

  /**
   * A KMS key that CloudWatch Logs may use.
   * @default - CloudWatch's own key
   */
  readonly kmsKeyArn?: string;

  /**
   * "Text" or "JSON", which the levels need.
   * @default "Text"
   */
  readonly format?: "Text" | "JSON";

  /**
   * Lowest level of the function's lines.
   * @default "INFO" with JSON
   */
  readonly applicationLevel?: "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";

  /**
   * Lowest level of Lambda's lines.
   * @default "INFO" with JSON
   */
  readonly systemLevel?: "DEBUG" | "INFO" | "WARN";
}

export const LOG_GROUP: OptionTable<LogGroup> = {
  name: optional("text"),
  createdBy: read(optional(CREATORS)),
  retentionDays: optional("number"),
  kmsKeyArn: optional("text"),
  format: optional(["Text", "JSON"]),
  applicationLevel: optional(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
  systemLevel: optional(["DEBUG", "INFO", "WARN"]),
};

export function logGroupProblems(logGroup: LogGroup): string[] {
  const { createdBy, retentionDays, kmsKeyArn, format = "Text", applicationLevel, systemLevel } = logGroup;
  const withoutEffect = createdBy === "Lambda" ? { retentionDays, kmsKeyArn } : {};
  const withoutFormat = format === "Text" ? { applicationLevel, systemLevel } : {};
  const isSet = ([, value]: readonly [string, unknown]): boolean => value !== undefined;
  return [
    ...Object.entries(withoutEffect)
      .filter(isSet)
      .map(([name, value]) =>
        problem(`logGroup.${name}`, value, 'has no effect with logGroup.createdBy "Lambda". Remove it or set "stack"'),
      ),
    ...Object.entries(withoutFormat)
      .filter(isSet)
      .map(([name, value]) => problem(`logGroup.${name}`, value, 'needs logGroup.format "JSON"')),
  ];
}

export function logGroupName({ name }: LogGroup, functionName: string): string {
  return name ?? `/aws/lambda/${functionName}`;
}

/** The log group, unless Lambda creates it. */
export function createLogGroup(
  scope: Construct,
  { createdBy, retentionDays = 365, kmsKeyArn }: LogGroup,
  name: string,
  tags?: Record<string, string>,
): CloudwatchLogGroup | undefined {
  if (createdBy === "Lambda") return undefined;
  return new CloudwatchLogGroup(scope, "log-group", {
    name,
    retentionInDays: retentionDays,
    kmsKeyId: kmsKeyArn,
    tags,
  });
}

/**
 * Always complete: the provider keeps the old value of what is left out, the levels included.
 * https://github.com/hashicorp/terraform-provider-aws/blob/v5.100.0/internal/service/lambda/function.go
 */
export function loggingConfig(logGroup: LogGroup, name: string): LambdaFunctionLoggingConfig {
  const { format = "Text" } = logGroup;
  const level = isKnown(format) && format === "JSON" ? "INFO" : undefined;
  const { applicationLevel = level, systemLevel = level } = logGroup;
  return { logFormat: format, logGroup: name, applicationLogLevel: applicationLevel, systemLogLevel: systemLevel };
}
