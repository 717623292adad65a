import { Token } from "cdktf";
import { arn, type Place } from "../terraform/arn";
import { isKnown } from "../terraform/settings-error";
import { call, terraformTexts } from "../terraform/terraform-text";

/** A statement of an IAM policy. */
export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/**
 * A policy of these statements. Not JSON.stringify: `cdktf synth --hcl` loses the quotes of a string with references in
 * it, and a value with a quote in it would end the string.
 */
export function policyDocument(statements: readonly object[]): string {
  return Token.asString(call("jsonencode", { Version: "2012-10-17", Statement: terraformTexts(statements) }));
}

/** Where the extension of Insights writes to, for every function of the account. */
const INSIGHTS_LOG_GROUP = "/aws/lambda-insights";

const WRITE = ["logs:CreateLogStream", "logs:PutLogEvents"];
const CREATE_AND_WRITE = ["logs:CreateLogGroup", ...WRITE];

/** To write to the function's own log group; to create it, too, where the stack does not. */
export function ownLogs(place: Place, logGroupName: string, createdBy: "stack" | "Lambda"): PolicyStatement {
  return {
    Effect: "Allow",
    Action: createdBy === "stack" ? WRITE : CREATE_AND_WRITE,
    Resource: arn(place, "logs", `log-group:${logGroupName}:*`),
  };
}

/** All functions share this log group, so no stack owns it and the first function creates it. */
export function insightsLogs(place: Place): PolicyStatement {
  return {
    Effect: "Allow",
    Action: CREATE_AND_WRITE,
    Resource: arn(place, "logs", `log-group:${INSIGHTS_LOG_GROUP}:*`),
  };
}

/** The article's: every log group of the account, in every region. Contains the two above. */
export function articleLogs({ partition }: Place): PolicyStatement {
  return { Effect: "Allow", Action: CREATE_AND_WRITE, Resource: `arn:${partition}:logs:*:*:*` };
}

/**
 * For the network interfaces of a function in a VPC:
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html. Lambda uses these permissions. The last
 * statement denies them to the function's code. The interfaces do not exist yet, so the statement allows all of the
 * account's.
 */
export function networkInterfaces(place: Place, functionName: string): PolicyStatement[] {
  const change = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ];
  // IAM knows no resources for these.
  const describe = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"];
  return [
    { Effect: "Allow", Action: change, Resource: arn(place, "ec2", "*/*") },
    { Effect: "Allow", Action: describe, Resource: "*" },
    {
      Effect: "Deny",
      Action: [...change, ...describe],
      Resource: "*",
      Condition: { ArnEquals: { "lambda:SourceFunctionArn": functionArn(place, functionName) } },
    },
  ];
}

/** To send traces: IAM knows no resources for it. */
export function traces(): PolicyStatement {
  return { Effect: "Allow", Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" };
}

/** To send failed events to that queue or topic, or to both kinds if only Terraform knows which it is. */
export function deadLetters(targetArn: string): PolicyStatement {
  const actions: Readonly<Record<string, string>> = { sqs: "sqs:SendMessage", sns: "sns:Publish" };
  const action = isKnown(targetArn) ? actions[targetArn.split(":")[2] ?? ""] : undefined;
  return { Effect: "Allow", Action: action ?? Object.values(actions), Resource: targetArn };
}

/** To decrypt the function's own environment variables with a key of yours, and nothing else. */
export function environmentKey(place: Place, functionName: string, keyArn: string): PolicyStatement {
  return {
    Effect: "Allow",
    Action: "kms:Decrypt",
    Resource: keyArn,
    Condition: { StringEquals: { "kms:EncryptionContext:aws:lambda:FunctionArn": functionArn(place, functionName) } },
  };
}

/** Not the function's attribute: the function waits for its permissions, so they cannot wait for the function. */
function functionArn(place: Place, functionName: string): string {
  return arn(place, "lambda", `function:${functionName}`);
}
