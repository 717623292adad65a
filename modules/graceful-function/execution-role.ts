import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import type { Precondition, TerraformResource } from "cdktf";
import { Construct } from "constructs";
import { definedProperties } from "../terraform/defined-properties";
import { policyDocument, type PolicyStatement } from "./permissions";
import { addPreconditions } from "./preconditions";
import { isKnown, problem, SettingsError, templateProblems } from "../terraform/settings-error";

/** A role that exists already. Its trust policy must allow Lambda. */
export interface ExistingRole {
  readonly name: string;

  readonly arn: string;

  /**
   * "attached": the construct attaches a policy for each purpose. "none": the role already has every permission, and
   * the construct does not change it.
   * @default "attached"
   */
  readonly policies?: "attached" | "none";
}

export interface ExecutionRoleConfig {
  /** Name of the role; its policies are named after it. */
  readonly name: string;

  /** Name of the function, for the descriptions. */
  readonly functionName: string;

  /**
   * A role to use instead of a new one.
   * @default - the construct creates the role
   */
  readonly existing?: ExistingRole;

  /**
   * The only account whose functions may run with the role.
   * @default - any
   */
  readonly trustedAccount?: string;

  /** @default - no boundary */
  readonly permissionsBoundaryArn?: string;

  /** @default {} */
  readonly tags?: Readonly<Record<string, string>>;

  /** Conditions for everything that is created here. */
  readonly preconditions: readonly Precondition[];
}

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html */
const POLICY_NAME = /^[\w+=,.@-]{1,128}$/;

/** The role that a function runs with, and one policy for each purpose. */
export class ExecutionRole extends Construct {
  public readonly name: string;
  public readonly arn: string;
  /** Resource of the role, unless it existed. */
  public readonly resource: IamRole | undefined;
  readonly #config: ExecutionRoleConfig;

  public constructor(scope: Construct, id: string, config: ExecutionRoleConfig) {
    super(scope, id);
    this.#config = config;
    const { name, existing, trustedAccount, permissionsBoundaryArn, tags } = config;
    if (existing) {
      ({ name: this.name, arn: this.arn } = existing);
      return;
    }
    this.resource = new IamRole(this, "role", {
      name,
      assumeRolePolicy: policyDocument([
        {
          Effect: "Allow",
          Action: "sts:AssumeRole",
          Principal: { Service: "lambda.amazonaws.com" },
          // Without it, a function of another account could run with the role.
          ...(trustedAccount === undefined
            ? {}
            : { Condition: { StringEquals: { "aws:SourceAccount": trustedAccount } } }),
        },
      ]),
      ...definedProperties({ permissionsBoundary: permissionsBoundaryArn, tags }),
    });
    this.name = this.resource.name;
    this.arn = this.resource.arn;
    this.guard(this.resource);
  }

  /** Whether policies are attached to the role here. */
  public get isManaged(): boolean {
    return this.#config.existing?.policies !== "none";
  }

  /**
   * Gives the function further permissions, in a policy of their own: `role.allow("queue", [{ Effect: "Allow", … }])`.
   *
   * The function does not wait for it, because the statements may name the function itself. A resource that starts the
   * function and needs the permission, such as an event source mapping, can wait for the returned attachment
   * (`dependsOn`).
   *
   * @param name what the permission is for: end of the policy's name, different from those that the role has
   * @throws SettingsError if the name or a statement is wrong, or if the construct does not manage the role.
   */
  public allow(name: string, statements: readonly PolicyStatement[]): IamRolePolicyAttachment {
    SettingsError.throwIfAny(this.problems(name, statements), this);
    return this.attach(name, "Permissions", statements);
  }

  /**
   * The same for what the construct itself needs.
   *
   * @param what it is for, at the beginning of the policy's description
   */
  public attach(name: string, what: string, statements: readonly PolicyStatement[]): IamRolePolicyAttachment {
    const { functionName, tags } = this.#config;
    const policy = new IamPolicy(this, name, {
      name: this.policyName(name),
      path: "/",
      description: `${what} of the Lambda function ${functionName}`,
      policy: policyDocument(statements),
      ...definedProperties({ tags }),
    });
    this.guard(policy);
    return new IamRolePolicyAttachment(this, `${name}-attachment`, { role: this.name, policyArn: policy.arn });
  }

  private problems(name: string, statements: readonly PolicyStatement[]): string[] {
    if (!this.isManaged)
      return [
        problem(
          "role.policies",
          "none",
          `does not allow the policy ${name}. Set it to "attached", or add the permission to the role yourself`,
        ),
      ];
    const isTaken = [name, `${name}-attachment`].some((id) => this.node.tryFindChild(id) !== undefined);
    const full = this.policyName(name);
    return [
      ...(isTaken ? [problem("name", name, "is already the name of a policy of this role")] : []),
      ...(name === "role" || !isKnown(name) || (isKnown(full) && !POLICY_NAME.test(full))
        ? [problem("name", name, `makes the policy name ${full}, which is not 1 to 128 letters, digits and +=,.@_-`)]
        : []),
      ...templateProblems({ statements }),
      ...(statements.length === 0
        ? [problem("statements", [], "is empty. A policy needs at least one statement")]
        : []),
    ];
  }

  private policyName(name: string): string {
    return `${this.#config.name}-${name}`;
  }

  private guard(resource: TerraformResource): void {
    addPreconditions(resource, this.#config.preconditions);
  }
}
