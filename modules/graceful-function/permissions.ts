import { App, Fn, Token, type IResolveContext } from "cdktf";
import { optional, required, type OptionTable } from "../terraform/option-table";

/** Where a resource is, in the words of an ARN. The partition is not always `aws`: there are China and GovCloud. */
export interface Place {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
}

/** The ARN of a resource in that place. */
export function arn({ partition, region, account }: Place, service: string, resource: string): string {
  return `arn:${partition}:${service}:${region}:${account}:${resource}`;
}

/** A statement of an IAM policy. */
export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

const TEXTS = {
  phrase: "a text, or a list of texts without a token for a list",
  accepts: (value: unknown) =>
    [value].flat().every((each) => typeof each === "string") && !(Array.isArray(value) && Token.isUnresolved(value)),
};

const CONDITION = {
  phrase: "a map from operators to maps from keys to texts",
  accepts: (value: unknown) => areValues(value, (keys) => areValues(keys, TEXTS.accepts)),
};

function areValues(map: unknown, accepts: (value: unknown) => boolean): boolean {
  return typeof map === "object" && map !== null && Object.values(map).every(accepts);
}

export const STATEMENT: OptionTable<PolicyStatement> = {
  Sid: optional("text"),
  Effect: required(["Allow", "Deny"]),
  Action: required(TEXTS),
  Resource: required(TEXTS),
  Condition: optional(CONDITION),
};

/** A policy as JSON text. `cdktf synth --hcl` loses the quotes of such a text, so there it is a call of jsonencode. */
export function policyDocument(statements: readonly object[]): string {
  const document = { Version: "2012-10-17", Statement: statements };
  return Token.asString({
    creationStack: [],
    resolve: ({ scope }: IResolveContext): string =>
      App.of(scope).hclOutput ? Token.asString(Fn.jsonencode(document)) : JSON.stringify(document),
  });
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
  // Not the function's attribute: the function waits for its permissions, so they cannot wait for the function.
  const functionArn = arn(place, "lambda", `function:${functionName}`);
  return [
    { Effect: "Allow", Action: change, Resource: arn(place, "ec2", "*/*") },
    { Effect: "Allow", Action: describe, Resource: "*" },
    {
      Effect: "Deny",
      Action: [...change, ...describe],
      Resource: "*",
      Condition: { ArnEquals: { "lambda:SourceFunctionArn": functionArn } },
    },
  ];
}

/** To send traces: IAM knows no resources for it. */
export function traces(): PolicyStatement {
  return { Effect: "Allow", Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" };
}
