import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Construct } from "constructs";
import { policyDocument, type PolicyStatement } from "./permissions";

export interface ServiceRoleConfig {
  readonly name: string;

  /** The service that may assume the role, such as `monitoring.rds.amazonaws.com`. */
  readonly service: string;

  /** What the role allows: statements, or the name of a policy of AWS's own. */
  readonly allows: readonly PolicyStatement[] | string;

  /** @default {} */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A role for a service of AWS that acts for the account. */
export class ServiceRole extends Construct {
  public readonly arn: string;

  public constructor(scope: Construct, id: string, { name, service, allows, tags = {} }: ServiceRoleConfig) {
    super(scope, id);
    const role = new IamRole(this, "role", {
      name,
      assumeRolePolicy: policyDocument([
        { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: service } },
      ]),
      tags,
    });
    this.arn = role.arn;
    if (typeof allows === "string") {
      const { partition } = new DataAwsPartition(this, "partition");
      const policyArn = `arn:${partition}:iam::aws:policy/${allows}`;
      new IamRolePolicyAttachment(this, "attachment", { role: role.name, policyArn });
    } else new IamRolePolicy(this, "policy", { role: role.name, policy: policyDocument(allows) });
  }
}
