import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import type { Precondition } from "cdktf";
import { Construct } from "constructs";
import { policyDocument, STATEMENT, type PolicyStatement } from "./permissions";
import { addPreconditions } from "./preconditions";
import { isKnown, problem, ConstructSettingsError } from "../terraform/construct-settings-error";
import { optionProblems, read, required, type OptionTable } from "../terraform/option-table";

/** A role that exists already. Its trust policy must allow Lambda. The construct attaches its policies to it. */
export interface ExistingRole {
  readonly name: string;
  readonly arn: string;
}

export const EXISTING_ROLE: OptionTable<ExistingRole> = { name: required("text"), arn: required("text") };

const ALLOW: OptionTable<{ name: string; statements: readonly PolicyStatement[] }> = {
  name: read(required("text")),
  statements: required("list", () => STATEMENT),
};

interface ExecutionRoleConfig {
  /** Name of the role; its policies are named after it. */
  readonly name: string;
  readonly functionName: string;
  /** The only account whose functions may run with the role. */
  readonly account: string;
  readonly existing: ExistingRole | undefined;
  readonly tags: Record<string, string> | undefined;
  readonly preconditions: readonly Precondition[];
}

export function existingRoleProblems({ name, arn }: ExistingRole): string[] {
  if (![name, arn].every(isKnown) || arn.endsWith(`/${name}`)) return [];
  return [problem("role.name", name, `is not the name at the end of role.arn ${JSON.stringify(arn)}`)];
}

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
    this.resource = config.existing ? undefined : this.createRole(config);
    this.name = config.existing?.name ?? this.resource?.name ?? config.name;
    this.arn = config.existing?.arn ?? this.resource?.arn ?? "";
  }

  /**
   * Gives the function further permissions, in a policy of their own: `role.allow("queue", [{ Effect: "Allow", … }])`.
   *
   * The function does not wait for it, because the statements may name the function itself. A resource that starts the
   * function and needs the permission, such as an event source mapping, can wait for the returned attachment
   * (`dependsOn`).
   *
   * @param name what the permission is for: end of the policy's name, different from those that the role has
   * @throws ConstructSettingsError if the name is taken or there is no statement.
   */
  public allow(name: string, statements: readonly PolicyStatement[]): IamRolePolicyAttachment {
    ConstructSettingsError.throwIfAny(optionProblems({ name, statements }, ALLOW), this);
    const isTaken = ["", "-attachment"].some((end) => this.node.tryFindChild(name + end) !== undefined);
    ConstructSettingsError.throwIfAny(
      [
        ...(isTaken ? [problem("name", name, "is already the name of a policy of this role")] : []),
        ...(statements.length === 0 ? [problem("statements", [], "is empty. A policy needs at least one")] : []),
      ],
      this,
    );
    return this.attach(name, "Permissions", statements);
  }

  /**
   * The same for what the construct itself needs.
   *
   * @param what it is for, at the beginning of the policy's description
   */
  public attach(name: string, what: string, statements: readonly PolicyStatement[]): IamRolePolicyAttachment {
    const { functionName, tags, preconditions } = this.#config;
    const policy = new IamPolicy(this, name, {
      name: `${this.#config.name}-${name}`,
      path: "/",
      description: `${what} of the Lambda function ${functionName}`,
      policy: policyDocument(statements),
      tags,
    });
    addPreconditions(policy, preconditions);
    return new IamRolePolicyAttachment(this, `${name}-attachment`, { role: this.name, policyArn: policy.arn });
  }

  private createRole({ name, account, tags, preconditions }: ExecutionRoleConfig): IamRole {
    const role = new IamRole(this, "role", {
      name,
      assumeRolePolicy: policyDocument([
        {
          Effect: "Allow",
          Action: "sts:AssumeRole",
          Principal: { Service: "lambda.amazonaws.com" },
          // Without it, a function of another account could run with the role.
          Condition: { StringEquals: { "aws:SourceAccount": account } },
        },
      ]),
      tags,
    });
    addPreconditions(role, preconditions);
    return role;
  }
}
