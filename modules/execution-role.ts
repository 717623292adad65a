import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Construct } from "constructs";
import { definedProperties } from "./defined-properties";
import { policyDocument, type PolicyStatement } from "./permissions";

export interface ExecutionRoleConfig {
  /** Name of the role; its policies are named after it. */
  readonly name: string;

  /** Name of the function, for the descriptions. */
  readonly functionName: string;

  /**
   * The only account whose functions may run with the role.
   * @default - any, as far as Lambda lets somebody pass the role on
   */
  readonly trustedAccount?: string;

  /** @default - no boundary */
  readonly permissionsBoundaryArn?: string;

  /** @default {} */
  readonly tags?: Readonly<Record<string, string>>;
}

/** The role that a function runs with, and one policy for each thing that it is there for. */
export class ExecutionRole extends Construct {
  public readonly arn: string;
  /** What a function has to wait for: else its first invocation can come before its permissions. */
  public readonly attachments: IamRolePolicyAttachment[] = [];
  private readonly role: IamRole;

  public constructor(
    scope: Construct,
    id: string,
    private readonly config: ExecutionRoleConfig,
  ) {
    super(scope, id);
    const { name, trustedAccount, permissionsBoundaryArn, tags } = config;
    this.role = new IamRole(this, "role", {
      name,
      assumeRolePolicy: policyDocument([
        {
          Effect: "Allow",
          Action: "sts:AssumeRole",
          Principal: { Service: "lambda.amazonaws.com" },
          // Else a function of another account, that somehow got hold of the role, could run with it.
          ...(trustedAccount === undefined
            ? {}
            : { Condition: { StringEquals: { "aws:SourceAccount": trustedAccount } } }),
        },
      ]),
      ...definedProperties({ permissionsBoundary: permissionsBoundaryArn, tags }),
    });
    this.arn = this.role.arn;
  }

  /**
   * Adds a policy.
   *
   * @param purpose what it is for, in the policy's name
   * @param what the same, at the beginning of its description
   */
  public allow(purpose: string, what: string, statements: readonly PolicyStatement[]): void {
    const { name, functionName, tags } = this.config;
    const policy = new IamPolicy(this, purpose, {
      name: `${name}-${purpose}`,
      path: "/",
      description: `${what} of the Lambda function ${functionName}`,
      policy: policyDocument(statements),
      ...definedProperties({ tags }),
    });
    this.attachments.push(
      new IamRolePolicyAttachment(this, `${purpose}-attachment`, { role: this.role.name, policyArn: policy.arn }),
    );
  }
}
