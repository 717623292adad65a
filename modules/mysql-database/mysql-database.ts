import { DbInstance } from "@cdktf/provider-aws/lib/db-instance";
import { DbParameterGroup } from "@cdktf/provider-aws/lib/db-parameter-group";
import { DbSubnetGroup } from "@cdktf/provider-aws/lib/db-subnet-group";
import type { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import type { TerraformProvider } from "cdktf";
import { Construct } from "constructs";
import { regionPreconditions, regionProblems, useProvider } from "../graceful-function/aws-provider";
import type { Database } from "../graceful-function/database";
import type { VpcConfig } from "../graceful-function/graceful-function-config";
import { addPreconditions } from "../graceful-function/preconditions";
import { optional, optionProblems, read, required, type OptionTable } from "../terraform/option-table";
import { addOutput } from "../terraform/path-name";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";
import { PrivateNetwork } from "./private-network";

/** The long-term release. Its minor versions come with the maintenance windows. */
const ENGINE_VERSION = "8.4";
const PORT = 3306;

/** The second is for clients such as the command line: a forgotten session also holds a connection. */
const DEFAULT_PARAMETERS = { wait_timeout: "300", interactive_timeout: "300" };

/** No connection without TLS. An instance has 1 where a cluster has ON: https://github.com/prowler-cloud/prowler/pull/4116 */
const TLS_PARAMETERS = { require_secure_transport: "1" };

export interface MysqlDatabaseConfig {
  /** The AWS provider's region. */
  readonly region: string;

  /** @default - the stack's without an alias */
  readonly provider?: TerraformProvider;

  /** Name of the instance, in all other names. */
  readonly name: string;

  /** Database to create. */
  readonly databaseName: string;

  /**
   * Its memory limits the connections, unless `parameters` does.
   * @default "db.t4g.micro" - about 60 connections
   */
  readonly instanceClass?: string;

  /**
   * Parameters of the server. `max_connections` limits the reserved concurrency, too.
   *
   * It reaches the function's settings, which then refuse more reserved concurrency than that serves.
   * @default - both timeouts of 300 s
   */
  readonly parameters?: Readonly<Record<string, string>>;

  /**
   * Allow users to log in with an IAM token, see `iamSettings`.
   *
   * It holds for users that are created with `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'`.
   * @default false
   */
  readonly iamAuthentication?: boolean;

  /**
   * RDS refuses to delete the instance.
   *
   * It does so until you have deployed `false`.
   * @default true
   */
  readonly deletionProtection?: boolean;

  /**
   * The only services (`com.amazonaws.<region>.<service>`) that the function reaches.
   *
   * The function needs "secretsmanager" to read the database's secret and "logs" for the metrics of the Insights layer.
   * Its own log lines do not go through the VPC.
   * @default ["logs", "secretsmanager"]
   */
  readonly endpoints?: readonly string[];

  /**
   * Further tags, besides `Name`.
   * @default {}
   */
  readonly tags?: Readonly<Record<string, string>>;
}

const OPTIONS: OptionTable<MysqlDatabaseConfig> = {
  region: required("text"),
  provider: read(optional("provider")),
  name: required("text"),
  databaseName: required("text"),
  instanceClass: optional("text"),
  parameters: read(optional("map")),
  iamAuthentication: optional("boolean"),
  deletionProtection: optional("boolean"),
  endpoints: read(optional("list")),
  tags: optional("map"),
};

type Settings = ReturnType<typeof withDefaults>;

/**
 * A MySQL server on RDS in its own network, and what a function needs to reach it. Nothing else can reach it.
 *
 * @example
 * const mysql = new MysqlDatabase(stack, "database", { region: "us-east-1", name: "orders", databaseName: "orders" });
 * new GracefulFunction(otherStack, "function", { …, database: mysql.settings, vpc: mysql.vpc });
 */
export class MysqlDatabase extends Construct {
  /** For `database` of a function: the master user. */
  public readonly settings: Database;

  /** For `vpc` of a function. */
  public readonly vpc: VpcConfig;

  public readonly host: string;

  public readonly port = PORT;

  public readonly databaseName: string;

  public readonly secretArn: string;

  /** For IAM authentication. */
  public readonly resourceId: string;

  public readonly vpcId: string;

  /** For rules that let in others, such as a bastion. */
  public readonly securityGroupId: string;

  /** For other settings: `resource.allocatedStorage = 100`. */
  public readonly resource: DbInstance;

  /** For the network: `network.vpc.cidrBlock = "10.1.0.0/16"`. */
  public readonly network: PrivateNetwork;

  readonly #hasIamAuthentication: boolean;

  /** @throws ConstructSettingsError with everything that is wrong in `config`. */
  public constructor(scope: Construct, id: string, config: MysqlDatabaseConfig) {
    super(scope, id);
    ConstructSettingsError.throwIfAny(optionProblems(config, OPTIONS), this);
    const settings = withDefaults(config);
    const { region, provider, databaseName } = settings;
    ConstructSettingsError.throwIfAny(regionProblems(this, region, provider), this);
    if (provider) useProvider(this, provider);

    this.network = new PrivateNetwork(this, "network", settings);
    addPreconditions(this.network.vpc, regionPreconditions(this, region, provider));
    const securityGroup = this.network.securityGroup("database", "The MySQL server");
    this.network.connect("database", securityGroup, PORT);
    this.resource = this.instance(settings, securityGroup);

    this.host = this.resource.address;
    this.databaseName = databaseName;
    this.secretArn = this.resource.masterUserSecret.get(0).secretArn;
    this.resourceId = this.resource.resourceId;
    this.vpcId = this.network.vpc.id;
    this.securityGroupId = securityGroup.id;
    this.#hasIamAuthentication = settings.iamAuthentication;
    this.settings = this.functionSettings(settings);
    this.vpc = {
      subnetIds: this.network.subnets.map((subnet) => subnet.id),
      securityGroupIds: [this.network.functionSecurityGroup.id],
      reachesLogs: settings.endpoints.includes("logs"),
    };
    this.addOutputs();
  }

  /**
   * Like `settings`, for another user with IAM log-in.
   * @throws ConstructSettingsError unless `iamAuthentication` is set.
   */
  public iamSettings(user: string): Database {
    if (!this.#hasIamAuthentication) {
      throw new ConstructSettingsError(
        [problem("iamAuthentication", false, `does not allow user ${user} to log in with IAM. Set it to true`)],
        this.node.path,
      );
    }
    return { ...this.settings, user, auth: { type: "iam", resourceId: this.resourceId } };
  }

  private instance(settings: Settings, securityGroup: SecurityGroup): DbInstance {
    const { name, databaseName, tags } = settings;
    return new DbInstance(this, "instance", {
      identifier: name,
      engine: "mysql",
      engineVersion: ENGINE_VERSION,
      instanceClass: settings.instanceClass,
      dbName: databaseName,
      port: PORT,
      username: "admin",
      // RDS makes the password, so it is never in the code, the JSON or the state.
      manageMasterUserPassword: true,
      allocatedStorage: 20,
      storageType: "gp3",
      storageEncrypted: true,
      multiAz: false,
      dbSubnetGroupName: this.subnetGroup(settings).name,
      vpcSecurityGroupIds: [securityGroup.id],
      publiclyAccessible: false,
      parameterGroupName: this.parameterGroup(settings).name,
      iamDatabaseAuthenticationEnabled: settings.iamAuthentication,
      autoMinorVersionUpgrade: true,
      applyImmediately: false,
      monitoringInterval: 0,
      backupRetentionPeriod: 7,
      deleteAutomatedBackups: true,
      copyTagsToSnapshot: true,
      deletionProtection: settings.deletionProtection,
      skipFinalSnapshot: false,
      finalSnapshotIdentifier: `${name}-final`,
      tags,
      // Otherwise a destroy that the deletion protection refuses would already have cut off the function.
      dependsOn: this.network.routes,
    });
  }

  private subnetGroup({ name, tags }: Settings): DbSubnetGroup {
    return new DbSubnetGroup(this, "subnet-group", {
      name,
      description: `Subnets of the MySQL server ${name}`,
      subnetIds: this.network.subnets.map((subnet) => subnet.id),
      tags,
    });
  }

  private parameterGroup({ name, parameters, tags }: Settings): DbParameterGroup {
    return new DbParameterGroup(this, "parameter-group", {
      name: `${name}-mysql84`,
      description: `Parameters of the MySQL server ${name}`,
      family: `mysql${ENGINE_VERSION}`,
      parameter: Object.entries(parameters).map(([parameter, value]) => ({ name: parameter, value })),
      tags,
      // The instance has to leave the old group before it can be deleted.
      lifecycle: { createBeforeDestroy: true },
    });
  }

  private functionSettings({ parameters }: Settings): Database {
    const { max_connections: maxConnections = "" } = parameters;
    return {
      host: this.host,
      port: PORT,
      name: this.databaseName,
      auth: { type: "secret", secretArn: this.secretArn },
      // RDS also takes a formula here, which the synthesis cannot compare.
      ...(/^\d+$/.test(maxConnections) ? { maxConnections: Number(maxConnections) } : {}),
    };
  }

  private addOutputs(): void {
    addOutput(this, "host", "Host name of the MySQL server", this.host);
    addOutput(this, "port", "Port of the MySQL server", PORT);
    addOutput(this, "name", "Name of the database", this.databaseName);
    addOutput(this, "secret_arn", "ARN of the secret with the master user's log-in", this.secretArn);
    addOutput(this, "resource_id", "Resource id of the instance, as IAM authentication needs it", this.resourceId);
    addOutput(this, "vpc_id", "VPC that the server is in", this.vpcId);
    addOutput(this, "subnet_ids", "Subnets for the function", [...this.vpc.subnetIds]);
    addOutput(this, "security_group_ids", "Security groups for the function", [...this.vpc.securityGroupIds]);
  }
}

function withDefaults(config: MysqlDatabaseConfig) {
  return {
    ...config,
    instanceClass: config.instanceClass ?? "db.t4g.micro",
    parameters: { ...DEFAULT_PARAMETERS, ...config.parameters, ...TLS_PARAMETERS } as Readonly<Record<string, string>>,
    iamAuthentication: config.iamAuthentication ?? false,
    deletionProtection: config.deletionProtection ?? true,
    endpoints: config.endpoints ?? ["logs", "secretsmanager"],
    tags: config.tags ?? {},
  } satisfies MysqlDatabaseConfig;
}
