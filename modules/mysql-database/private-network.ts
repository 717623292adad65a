import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { DataAwsAvailabilityZones } from "@cdktf/provider-aws/lib/data-aws-availability-zones";
import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group";
import { FlowLog } from "@cdktf/provider-aws/lib/flow-log";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { Subnet } from "@cdktf/provider-aws/lib/subnet";
import { Vpc } from "@cdktf/provider-aws/lib/vpc";
import { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import { Fn, Token, type ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { isIPv4 } from "node:net";
import type { VpcConfig } from "../graceful-function/graceful-function-config";
import { RETENTION_DAYS } from "../graceful-function/log-group";
import { policyDocument } from "../graceful-function/permissions";
import { ServiceRole } from "../graceful-function/service-role";
import { choiceProblems, isKnown, problem, SettingsError } from "../terraform/settings-error";
import { mergedMaps } from "../terraform/terraform-text";

/** RDS wants subnets in two zones, also for an instance in one; no region has more than six. */
const ZONES = { min: 2, max: 6 };

/** AWS names the zones of a region by these; not every region has each. */
const ZONE_LETTERS = ["a", "b", "c", "d", "e", "f"];

/**
 * A VPC is a /28 at the least, and so is a subnet:
 * https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
 */
const VPC_PREFIX = { min: 16, max: 24 };

/** Sixteen subnets fit, of which these are the first: the others are left for what comes later. */
const SUBNET_BITS = 4;

export interface PrivateNetworkConfig {
  /** Region of the endpoints. It must be the region of the AWS provider, as for `GracefulFunction`. */
  readonly region: string;

  /** Everything in the network is named after it. */
  readonly name: string;

  /**
   * Addresses of the VPC, /16 to /24. Each subnet takes a sixteenth of them.
   * @default "10.0.0.0/16"
   */
  readonly cidrBlock?: string;

  /**
   * Zones with a subnet each, two to six. Append new zones to the list: a new zone in an old place replaces the subnet.
   * @default - the first two of the region, chosen when the subnets are created
   */
  readonly availabilityZones?: readonly string[];

  /**
   * AWS services to reach, as in `com.amazonaws.<region>.<service>`. The function needs "secretsmanager" to read the
   * database's secret and "logs" for the metrics of the Insights layer; its own log lines do not go through the VPC.
   * @default ["logs", "secretsmanager"]
   */
  readonly endpoints?: readonly string[];

  /**
   * Days that CloudWatch keeps a log of the connections in the VPC. CloudWatch accepts certain numbers only; 0 means
   * for ever.
   * @default - no flow log; it costs money by the gigabyte
   */
  readonly flowLogDays?: number;

  /**
   * Tags of everything that can have tags, besides `Name`.
   * @default {}
   */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A VPC without a way out. A function in it reaches the given AWS services, and what `connect` allows. */
export class PrivateNetwork extends Construct {
  public readonly vpc: Vpc;
  public readonly vpcId: string;
  public readonly subnetIds: readonly string[];

  /** For `vpc` of `GracefulFunction`: the subnets, and a security group for the function alone. */
  public readonly function: VpcConfig;

  /** The rules and endpoints that the function's packets need. */
  public readonly ways: ITerraformDependable[] = [];

  readonly #functionSecurityGroupId: string;
  readonly #name: string;
  readonly #tags: Readonly<Record<string, string>>;

  /** @throws SettingsError with everything that is wrong in `config`. */
  public constructor(scope: Construct, id: string, config: PrivateNetworkConfig) {
    super(scope, id);
    SettingsError.throwIfAny(PrivateNetwork.problems(config), this);
    const {
      region,
      name,
      cidrBlock = "10.0.0.0/16",
      availabilityZones,
      endpoints = ["logs", "secretsmanager"],
      flowLogDays,
      tags = {},
    } = config;
    this.#name = name;
    this.#tags = tags;

    const vpc = new Vpc(this, "vpc", {
      cidrBlock,
      // Both, or the private names of the endpoints do not resolve.
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: this.tagsOf("vpc"),
    });
    this.vpc = vpc;
    this.vpcId = vpc.id;
    if (flowLogDays !== undefined) this.flowLog(region, flowLogDays);
    // AWS creates a default group that allows all traffic out, for resources that name no group. This removes its
    // rules.
    new DefaultSecurityGroup(this, "default", { vpcId: vpc.id, tags: this.tagsOf("default") });

    this.subnetIds = this.zones(region, availabilityZones).map((availabilityZone, index) => {
      const subnet = new Subnet(this, `subnet-${index}`, {
        vpcId: vpc.id,
        availabilityZone,
        cidrBlock: Fn.cidrsubnet(vpc.cidrBlock, SUBNET_BITS, index),
        mapPublicIpOnLaunch: false,
        tags: this.tagsOf(`private-${index}`),
        // Otherwise a zone that AWS adds, or closes for a day, would replace the subnet and everything in it.
        ...(availabilityZones ? {} : { lifecycle: { ignoreChanges: ["availability_zone"] } }),
      });
      return subnet.id;
    });

    this.#functionSecurityGroupId = this.securityGroup("function", "The function").id;
    this.function = {
      subnetIds: this.subnetIds,
      securityGroupIds: [this.#functionSecurityGroupId],
      reachesLogs: endpoints.includes("logs"),
    };
    if (endpoints.length === 0) return;
    const endpointsSecurityGroup = this.securityGroup("endpoints", "Endpoints of AWS services");
    this.connect("endpoints", endpointsSecurityGroup.id, 443);
    for (const service of endpoints) {
      const endpoint = new VpcEndpoint(this, `endpoint-${service}`, {
        vpcId: vpc.id,
        vpcEndpointType: "Interface",
        serviceName: `com.amazonaws.${region}.${service}`,
        privateDnsEnabled: true,
        subnetIds: [...this.subnetIds],
        securityGroupIds: [endpointsSecurityGroup.id],
        // AWS's default lets credentials of any account through, and with them data out to that account.
        policy: policyDocument([
          {
            Effect: "Allow",
            Principal: "*",
            Action: "*",
            Resource: "*",
            Condition: { StringEquals: { "aws:PrincipalAccount": vpc.ownerId } },
          },
        ]),
        tags: this.tagsOf(service),
      });
      this.ways.push(endpoint);
    }
  }

  /** What is wrong with the settings of a network; empty if nothing is. */
  public static problems(config: PrivateNetworkConfig): string[] {
    const { cidrBlock, availabilityZones, endpoints = [], flowLogDays } = config;
    return [
      ...choiceProblems<number>("flowLogDays", flowLogDays, RETENTION_DAYS),
      ...(cidrBlock === undefined ? [] : cidrBlockProblems(cidrBlock)),
      ...(availabilityZones === undefined ? [] : zonesProblems(availabilityZones)),
      ...endpointsProblems(endpoints),
    ];
  }

  /** A group without rules: Terraform removes AWS's default rule, which allows everything out. */
  public securityGroup(name: string, description: string): SecurityGroup {
    return new SecurityGroup(this, `${name}-security-group`, {
      name: `${this.#name}-${name}`,
      description,
      vpcId: this.vpcId,
      tags: this.tagsOf(name),
    });
  }

  /** Lets the function reach the members of a group at one port, and nobody else. */
  public connect(name: string, securityGroupId: string, port: number): void {
    const tcp = { ipProtocol: "tcp", fromPort: port, toPort: port };
    const egress = new VpcSecurityGroupEgressRule(this, `function-to-${name}`, {
      securityGroupId: this.#functionSecurityGroupId,
      referencedSecurityGroupId: securityGroupId,
      description: `From the function to ${name}`,
      ...tcp,
      tags: this.tagsOf(`function-to-${name}`),
    });
    const ingress = new VpcSecurityGroupIngressRule(this, `${name}-from-function`, {
      securityGroupId,
      referencedSecurityGroupId: this.#functionSecurityGroupId,
      description: `To ${name} from the function`,
      ...tcp,
      tags: this.tagsOf(`${name}-from-function`),
    });
    this.ways.push(egress, ingress);
  }

  private flowLog(region: string, retentionInDays: number): void {
    const tags = this.tagsOf("flow-log");
    const group = new CloudwatchLogGroup(this, "flow-log-group", {
      name: `/vpc/${this.#name}-${region}`,
      retentionInDays,
      tags,
    });
    const role = new ServiceRole(this, "flow-log-role", {
      name: `${this.#name}-${region}-flow-log`,
      service: "vpc-flow-logs.amazonaws.com",
      allows: [
        {
          Effect: "Allow",
          Action: ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
          Resource: `${group.arn}:*`,
        },
      ],
      tags,
    });
    new FlowLog(this, "flow-log", {
      vpcId: this.vpcId,
      trafficType: "ALL",
      logDestination: group.arn,
      iamRoleArn: role.arn,
      tags,
    });
  }

  private tagsOf(name: string): Record<string, string> {
    return mergedMaps(this.#tags, { Name: `${this.#name}-${name}` });
  }

  private zones(region: string, given: readonly string[] | undefined): readonly string[] {
    if (given) return given;
    const { names } = new DataAwsAvailabilityZones(this, "zones", {
      // Leaves out Local Zones, which have neither RDS nor Lambda for everybody.
      filter: [
        { name: "opt-in-status", values: ["opt-in-not-required"] },
        { name: "zone-name", values: ZONE_LETTERS.map((letter) => `${region}${letter}`) },
      ],
    });
    return Array.from({ length: ZONES.min }, (_, index) => Token.asString(Fn.element(names, index)));
  }
}

function cidrBlockProblems(cidrBlock: string): string[] {
  if (!isKnown(cidrBlock)) return [];
  const [address = "", length = "", ...rest] = cidrBlock.split("/");
  const prefix = /^\d+$/.test(length) ? Number(length) : NaN;
  if (!isIPv4(address) || rest.length > 0 || !(prefix >= VPC_PREFIX.min && prefix <= VPC_PREFIX.max)) {
    return [
      problem(
        "cidrBlock",
        cidrBlock,
        `is not an IPv4 block of /${VPC_PREFIX.min} to /${VPC_PREFIX.max} such as 10.0.0.0/16`,
      ),
    ];
  }
  const bits = address.split(".").reduce((all, octet) => all * 256 + Number(octet), 0);
  const size = 2 ** (32 - prefix);
  if (bits % size === 0) return [];
  const first = bits - (bits % size);
  const octets = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  // AWS would accept it and return the block's first address. Every later plan would then replace the VPC.
  return [problem("cidrBlock", cidrBlock, `is not the first address of its block. Set ${octets.join(".")}/${prefix}`)];
}

function zonesProblems(zones: readonly string[]): string[] {
  if (!isKnown(zones)) {
    return [
      problem(
        "availabilityZones",
        zones,
        "is known to Terraform only. The synthesis needs the number of zones, so set a list",
      ),
    ];
  }
  if (zones.length >= ZONES.min && zones.length <= ZONES.max && new Set(zones).size === zones.length) return [];
  return [problem("availabilityZones", zones, `are not ${ZONES.min} to ${ZONES.max} different zones`)];
}

function endpointsProblems(endpoints: readonly string[]): string[] {
  return endpoints.flatMap((service, index) => {
    if (!/^[a-z0-9][a-z0-9.-]*$/.test(service)) {
      return [
        problem(
          "endpoints",
          service,
          "is not the name of a service as in com.amazonaws.<region>.<service>, such as secretsmanager",
        ),
      ];
    }
    return endpoints.indexOf(service) === index ? [] : [problem("endpoints", service, "is in the list twice")];
  });
}
