import { DataAwsAvailabilityZones } from "@cdktf/provider-aws/lib/data-aws-availability-zones";
import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { Subnet } from "@cdktf/provider-aws/lib/subnet";
import { Vpc } from "@cdktf/provider-aws/lib/vpc";
import { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import { Fn, Token, type ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { policyDocument } from "../graceful-function/permissions";

/** RDS wants subnets in two zones, also for an instance in one. */
const ZONE_COUNT = 2;

/** AWS names the zones of a region by these. Not every region has each. */
const ZONE_LETTERS = ["a", "b", "c", "d", "e", "f"];

/** Each subnet takes a sixteenth of the VPC. Fourteen sixteenths stay free. */
const SUBNET_BITS = 4;

export interface PrivateNetworkConfig {
  readonly region: string;

  /** Everything in the network is named after it. */
  readonly name: string;

  /** AWS services that the function reaches, as in `com.amazonaws.<region>.<service>`. */
  readonly endpoints: readonly string[];

  /** Tags of everything in the network, besides `Name`. */
  readonly tags: Readonly<Record<string, string>>;
}

/** A VPC without a way out. A function in it reaches the AWS services of `endpoints`, and what `connect` allows. */
export class PrivateNetwork extends Construct {
  public readonly vpc: Vpc;
  public readonly subnets: readonly Subnet[];

  /** Group of the function alone. */
  public readonly functionSecurityGroup: SecurityGroup;

  /** Rules and endpoints that the function's packets need. */
  public readonly routes: ITerraformDependable[] = [];

  readonly #config: PrivateNetworkConfig;

  public constructor(scope: Construct, id: string, config: PrivateNetworkConfig) {
    super(scope, id);
    this.#config = config;
    this.vpc = new Vpc(this, "vpc", {
      cidrBlock: "10.0.0.0/16",
      // Both, or the private names of the endpoints do not resolve.
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: this.tagsOf("vpc"),
    });
    // AWS creates a default group that allows all traffic out. This removes its rules.
    new DefaultSecurityGroup(this, "default", { vpcId: this.vpc.id, tags: this.tagsOf("default") });
    this.subnets = this.privateSubnets();
    this.functionSecurityGroup = this.securityGroup("function", "The function");
    if (config.endpoints.length > 0) this.addEndpoints();
  }

  /** A group without rules: Terraform removes AWS's default rule, which allows everything out. */
  public securityGroup(name: string, description: string): SecurityGroup {
    return new SecurityGroup(this, `${name}-security-group`, {
      name: `${this.#config.name}-${name}`,
      description,
      vpcId: this.vpc.id,
      tags: this.tagsOf(name),
    });
  }

  /** Lets the function, and nothing else, reach the members of a group at one port. */
  public connect(name: string, group: SecurityGroup, port: number): void {
    const tcp = { ipProtocol: "tcp", fromPort: port, toPort: port };
    const egress = new VpcSecurityGroupEgressRule(this, `function-to-${name}`, {
      securityGroupId: this.functionSecurityGroup.id,
      referencedSecurityGroupId: group.id,
      description: `From the function to ${name}`,
      ...tcp,
      tags: this.tagsOf(`function-to-${name}`),
    });
    const ingress = new VpcSecurityGroupIngressRule(this, `${name}-from-function`, {
      securityGroupId: group.id,
      referencedSecurityGroupId: this.functionSecurityGroup.id,
      description: `To ${name} from the function`,
      ...tcp,
      tags: this.tagsOf(`${name}-from-function`),
    });
    this.routes.push(egress, ingress);
  }

  private privateSubnets(): Subnet[] {
    const { region } = this.#config;
    const { names } = new DataAwsAvailabilityZones(this, "zones", {
      // Leaves out Local Zones, which not every account has, and which lack RDS and Lambda.
      filter: [
        { name: "opt-in-status", values: ["opt-in-not-required"] },
        { name: "zone-name", values: ZONE_LETTERS.map((letter) => `${region}${letter}`) },
      ],
    });
    return Array.from({ length: ZONE_COUNT }, (_, index) => {
      return new Subnet(this, `subnet-${index}`, {
        vpcId: this.vpc.id,
        availabilityZone: Token.asString(Fn.element(names, index)),
        cidrBlock: Fn.cidrsubnet(this.vpc.cidrBlock, SUBNET_BITS, index),
        mapPublicIpOnLaunch: false,
        tags: this.tagsOf(`private-${index}`),
        // Otherwise a zone that AWS adds, or closes for a day, would replace the subnet and everything in it.
        lifecycle: { ignoreChanges: ["availability_zone"] },
      });
    });
  }

  private addEndpoints(): void {
    const { region, endpoints } = this.#config;
    const group = this.securityGroup("endpoints", "Endpoints of AWS services");
    this.connect("endpoints", group, 443);
    for (const service of endpoints) {
      const endpoint = new VpcEndpoint(this, `endpoint-${service}`, {
        vpcId: this.vpc.id,
        vpcEndpointType: "Interface",
        serviceName: `com.amazonaws.${region}.${service}`,
        privateDnsEnabled: true,
        subnetIds: this.subnets.map(({ id }) => id),
        securityGroupIds: [group.id],
        policy: ownAccountOnly(this.vpc),
        tags: this.tagsOf(service),
      });
      this.routes.push(endpoint);
    }
  }

  private tagsOf(name: string): Record<string, string> {
    const { name: prefix, tags } = this.#config;
    const own = { Name: `${prefix}-${name}` };
    return Token.isUnresolved(tags) ? Token.asStringMap(Fn.merge([tags, own])) : { ...tags, ...own };
  }
}

/** AWS's default policy lets credentials of any account through, and with them data out to that account. */
function ownAccountOnly({ ownerId }: Vpc): string {
  return policyDocument([
    {
      Effect: "Allow",
      Principal: "*",
      Action: "*",
      Resource: "*",
      Condition: { StringEquals: { "aws:PrincipalAccount": ownerId } },
    },
  ]);
}
