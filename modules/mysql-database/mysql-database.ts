import { DbInstance } from "@cdktf/provider-aws/lib/db-instance";
import { DbParameterGroup } from "@cdktf/provider-aws/lib/db-parameter-group";
import { DbSubnetGroup } from "@cdktf/provider-aws/lib/db-subnet-group";
import type { TerraformProvider } from "cdktf";
import { Construct } from "constructs";
import { arnProblems, KMS_KEY } from "../terraform/arn";
import { regionPreconditions, regionProblems, useProvider } from "../graceful-function/aws-provider";
import type { Database } from "../graceful-function/database";
import { definedProperties } from "../terraform/defined-properties";
import { encodedTokens } from "../terraform/encoded-tokens";
import type { VpcConfig } from "../graceful-function/graceful-function-config";
import { addOutput, claimProblems, idProblems } from "../terraform/path-name";
import { addPreconditions } from "../graceful-function/preconditions";
import { PrivateNetwork, type PrivateNetworkConfig } from "./private-network";
import { ServiceRole } from "../graceful-function/service-role";
import {
  choiceProblems,
  isKnown,
  problem,
  rangeProblems,
  SettingsError,
  templateProblems,
} from "../terraform/settings-error";
import { terraformTexts } from "../terraform/terraform-text";

/** The long-term release. Its minor versions come with the maintenance windows. */
const ENGINE_VERSION = "8.4";
const PORT = 3306;

export const STORAGE_TYPES = ["gp3", "gp2"] as const;
export type StorageType = (typeof STORAGE_TYPES)[number];

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html, as are the names below. */
const ALLOCATED_STORAGE = { min: 20, max: 65_536, unit: "GiB" };
const BACKUP_RETENTION_DAYS = { min: 0, max: 35, unit: "days" };
/** MySQL's own bounds. The highest wait_timeout is a year. */
const WAIT_TIMEOUT = { min: 1, max: 31_536_000, unit: "s" };
const MAX_CONNECTIONS = { min: 1, max: 100_000 };

/** 63 characters, of which the longest name that is made of it, "<name>-mysql84", takes eight. */
const NAME = /^(?=.{1,55}$)[a-z](-?[a-z0-9])*$/;
const DATABASE_NAME = /^[A-Za-z]\w{0,63}$/;
const MASTER_USERNAME = /^(?!rdsadmin$)[A-Za-z]\w{0,15}$/;
const INSTANCE_CLASS = /^db\.[a-z0-9-]+\.[a-z0-9]+$/;
const SNAPSHOT = /^(?=.{1,255}$)[A-Za-z](-?[A-Za-z0-9])*$/;

const LOG_EXPORTS = ["audit", "error", "general", "slowquery"] as const;
const MONITORING_INTERVALS = [0, 1, 5, 10, 15, 30, 60];

export interface MysqlDatabaseConfig extends PrivateNetworkConfig {
  /**
   * AWS provider of everything that the construct creates.
   * @default - the stack's provider without an alias
   */
  readonly provider?: TerraformProvider;

  /** Name of the instance: 1 to 55 small letters, digits and single hyphens. Everything else is named after it. */
  readonly name: string;

  /** Name of the database that RDS creates in it. */
  readonly databaseName: string;

  /**
   * User that RDS creates. RDS makes its password, keeps it in Secrets Manager and changes it every seven days.
   * @default "admin"
   */
  readonly masterUsername?: string;

  /**
   * Class of the instance. Its memory limits the connections, unless `maxConnections` is set.
   * @default "db.t4g.micro"
   */
  readonly instanceClass?: string;

  /**
   * GiB of storage, 20 to 65536.
   * @default 20
   */
  readonly allocatedStorage?: number;

  /**
   * GiB up to which RDS grows the storage when it is nearly full.
   * @default - it does not grow
   */
  readonly maxAllocatedStorage?: number;

  /**
   * Type of the storage: "gp3" or "gp2".
   * @default "gp3"
   */
  readonly storageType?: StorageType;

  /**
   * ARN of the KMS key that encrypts storage, backups and snapshots. They are encrypted in any case.
   * @default - AWS's key for RDS
   */
  readonly kmsKeyArn?: string;

  /**
   * A second instance in another zone that takes over when the first fails.
   * @default false
   */
  readonly multiAz?: boolean;

  /**
   * Seconds between two measurements of the operating system: 1, 5, 10, 15, 30 or 60; 0 switches them off.
   * @default 0 - the measurements are log lines in CloudWatch Logs, which cost money
   */
  readonly monitoringInterval?: number;

  /**
   * Logs of the server that go to CloudWatch Logs: "audit", "error", "general", "slowquery".
   * @default [] - they stay on the instance
   */
  readonly logExports?: readonly (typeof LOG_EXPORTS)[number][];

  /**
   * Days that automated backups are kept, 0 to 35; 0 switches them off.
   * @default 7
   */
  readonly backupRetentionDays?: number;

  /**
   * Keep the automated backups for `backupRetentionDays` after the instance is destroyed.
   * @default false
   */
  readonly retainAutomatedBackups?: boolean;

  /**
   * RDS refuses to delete the instance until you have deployed `false`.
   * @default true
   */
  readonly deletionProtection?: boolean;

  /**
   * Name of the snapshot that is taken when the instance is destroyed, or false for none. RDS refuses the name of an
   * existing snapshot, for example after an earlier database of the same name.
   * @default "<name>-final"
   */
  readonly finalSnapshot?: string | false;

  /**
   * Make changes at once instead of in the next maintenance window. Some need a restart.
   * @default false
   */
  readonly applyImmediately?: boolean;

  /**
   * Allow users that are created with `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'` to log in with an IAM token.
   * See `iamSettings`.
   * @default false
   */
  readonly iamAuthentication?: boolean;

  /**
   * Seconds after which the server closes an idle connection. A leaked connection stays for so long.
   * @default 300
   */
  readonly waitTimeout?: number;

  /**
   * Connections that the server accepts, 1 to 100000.
   * @default - RDS's formula, bytes of memory for the server / 12582880: about 60 with db.t4g.micro
   */
  readonly maxConnections?: number;
}

/**
 * A MySQL server on RDS in its own network, and what a function needs to reach it. Nothing else can reach it.
 *
 * @example
 * const mysql = new MysqlDatabase(stack, "database", { region: "us-east-1", name: "orders", databaseName: "orders" });
 * new GracefulFunction(otherStack, "function", { …, database: mysql.settings, vpc: mysql.vpc });
 */
export class MysqlDatabase extends Construct {
  /** For `database` of `GracefulFunction`: as the master user, with the secret that RDS keeps. */
  public readonly settings: Database;

  /** For `vpc` of `GracefulFunction`: the subnets, and the one security group that the server lets in. */
  public readonly vpc: VpcConfig;

  /** Host name of the server. */
  public readonly host: string;

  public readonly port: number;

  /** Name of the database that RDS creates. */
  public readonly databaseName: string;

  /** ARN of the secret with the master user's log-in. */
  public readonly secretArn: string;

  /** Resource id of the instance, as IAM authentication needs it. */
  public readonly resourceId: string;

  /** VPC that the server is in. */
  public readonly vpcId: string;

  /** Security group of the server. Add rules to allow more than the function. */
  public readonly securityGroupId: string;

  /** For settings that the construct does not have: `resource.addOverride(…)`. */
  public readonly resource: DbInstance;

  readonly #iam: { readonly enabled: boolean; readonly resourceId: string };

  /** @throws SettingsError with everything that is wrong in the settings. */
  public constructor(scope: Construct, id: string, given: MysqlDatabaseConfig) {
    super(scope, id);
    SettingsError.throwIfAny(templateProblems(given), this);
    const config = terraformTexts(encodedTokens(given));
    const {
      name,
      databaseName,
      masterUsername = "admin",
      instanceClass = "db.t4g.micro",
      allocatedStorage = 20,
      maxAllocatedStorage,
      storageType = "gp3",
      kmsKeyArn,
      multiAz = false,
      monitoringInterval = 0,
      logExports = [],
      backupRetentionDays = 7,
      retainAutomatedBackups = false,
      deletionProtection = true,
      finalSnapshot = `${name}-final`,
      applyImmediately = false,
      iamAuthentication = false,
      waitTimeout = 300,
      maxConnections,
      tags = {},
    } = config;

    SettingsError.throwIfAny(
      [
        ...patternProblems(
          "name",
          name,
          NAME,
          "is not 1 to 55 lower-case letters, digits and single hyphens that begin with a letter",
        ),
        ...patternProblems(
          "databaseName",
          databaseName,
          DATABASE_NAME,
          "is not 1 to 64 letters, digits and _ that begin with a letter",
        ),
        ...patternProblems(
          "masterUsername",
          masterUsername,
          MASTER_USERNAME,
          "is not 1 to 16 letters, digits and _ that begin with a letter, or is rdsadmin, which RDS reserves",
        ),
        ...patternProblems(
          "instanceClass",
          instanceClass,
          INSTANCE_CLASS,
          "is not an instance class such as db.t4g.micro",
        ),
        ...rangeProblems("allocatedStorage", allocatedStorage, ALLOCATED_STORAGE),
        ...(maxAllocatedStorage === undefined
          ? []
          : rangeProblems("maxAllocatedStorage", maxAllocatedStorage, {
              ...ALLOCATED_STORAGE,
              min: isKnown(allocatedStorage) ? allocatedStorage + 1 : ALLOCATED_STORAGE.min,
            })),
        ...choiceProblems("storageType", storageType, STORAGE_TYPES),
        ...arnProblems("kmsKeyArn", kmsKeyArn, KMS_KEY),
        ...choiceProblems<number>("monitoringInterval", monitoringInterval, MONITORING_INTERVALS),
        ...logExports.flatMap((each) => choiceProblems("logExports", each, LOG_EXPORTS)),
        ...rangeProblems("backupRetentionDays", backupRetentionDays, BACKUP_RETENTION_DAYS),
        ...(typeof config.finalSnapshot !== "string"
          ? []
          : patternProblems(
              "finalSnapshot",
              config.finalSnapshot,
              SNAPSHOT,
              "is neither false nor 1 to 255 letters, digits and single hyphens that begin with a letter",
            )),
        ...rangeProblems("waitTimeout", waitTimeout, WAIT_TIMEOUT),
        ...(maxConnections === undefined ? [] : rangeProblems("maxConnections", maxConnections, MAX_CONNECTIONS)),
        ...PrivateNetwork.problems(config),
        ...regionProblems(this, config.region, config.provider),
        ...idProblems(this),
        ...claimProblems(this, "name", name, [config.region, config.provider?.node.path ?? ""]),
      ],
      this,
    );

    if (config.provider) useProvider(this, config.provider);
    const network = new PrivateNetwork(this, "network", config);
    addPreconditions(network.vpc, regionPreconditions(this, config.region, config.provider));
    const securityGroup = network.securityGroup("database", "The MySQL server");
    network.connect("database", securityGroup.id, PORT);

    const subnetGroup = new DbSubnetGroup(this, "subnet-group", {
      name,
      description: `Subnets of the MySQL server ${name}`,
      subnetIds: [...network.subnetIds],
      tags,
    });
    const parameterGroup = new DbParameterGroup(this, "parameter-group", {
      name: `${name}-mysql84`,
      description: `Parameters of the MySQL server ${name}`,
      family: `mysql${ENGINE_VERSION}`,
      parameter: [
        // An instance has 1 where a cluster has ON: https://github.com/prowler-cloud/prowler/pull/4116
        { name: "require_secure_transport", value: "1" },
        { name: "wait_timeout", value: String(waitTimeout) },
        // For interactive clients such as the command line: a forgotten session also holds a connection.
        { name: "interactive_timeout", value: String(waitTimeout) },
        ...(maxConnections === undefined ? [] : [{ name: "max_connections", value: String(maxConnections) }]),
      ],
      tags,
      // The instance has to leave the old group before it can be deleted.
      lifecycle: { createBeforeDestroy: true },
    });

    const instance = new DbInstance(this, "instance", {
      identifier: name,
      engine: "mysql",
      engineVersion: ENGINE_VERSION,
      instanceClass,
      dbName: databaseName,
      port: PORT,
      username: masterUsername,
      // RDS makes the password, so it is never in the code, the JSON or the state.
      manageMasterUserPassword: true,
      allocatedStorage,
      storageType,
      storageEncrypted: true,
      multiAz,
      dbSubnetGroupName: subnetGroup.name,
      vpcSecurityGroupIds: [securityGroup.id],
      publiclyAccessible: false,
      parameterGroupName: parameterGroup.name,
      iamDatabaseAuthenticationEnabled: iamAuthentication,
      autoMinorVersionUpgrade: true,
      applyImmediately,
      backupRetentionPeriod: backupRetentionDays,
      deleteAutomatedBackups: !retainAutomatedBackups,
      copyTagsToSnapshot: true,
      deletionProtection,
      ...(finalSnapshot === false
        ? { skipFinalSnapshot: true }
        : { skipFinalSnapshot: false, finalSnapshotIdentifier: finalSnapshot }),
      ...(logExports.length === 0 ? {} : { enabledCloudwatchLogsExports: [...logExports] }),
      ...(monitoringInterval === 0 ? {} : { monitoringInterval, monitoringRoleArn: this.monitoringRole(config) }),
      ...definedProperties({ maxAllocatedStorage, kmsKeyId: kmsKeyArn }),
      tags,
      // Otherwise a destroy that the deletion protection refuses would already have cut off the function.
      dependsOn: network.ways,
    });

    const secretArn = instance.masterUserSecret.get(0).secretArn;
    this.#iam = { enabled: iamAuthentication, resourceId: instance.resourceId };
    this.settings = {
      host: instance.address,
      port: PORT,
      name: databaseName,
      auth: { type: "secret", secretArn },
      ...definedProperties({ maxConnections }),
    };
    this.vpc = network.function;
    this.host = instance.address;
    this.port = PORT;
    this.databaseName = databaseName;
    this.secretArn = secretArn;
    this.resourceId = instance.resourceId;
    this.vpcId = network.vpcId;
    this.securityGroupId = securityGroup.id;
    this.resource = instance;

    addOutput(this, "host", "Host name of the MySQL server", instance.address);
    addOutput(this, "port", "Port of the MySQL server", PORT);
    addOutput(this, "name", "Name of the database", databaseName);
    addOutput(this, "secret_arn", "ARN of the secret with the master user's log-in", secretArn);
    addOutput(this, "resource_id", "Resource id of the instance, as IAM authentication needs it", instance.resourceId);
    addOutput(this, "vpc_id", "VPC that the server is in", network.vpcId);
    addOutput(this, "subnet_ids", "Subnets for the function", [...this.vpc.subnetIds]);
    addOutput(this, "security_group_ids", "Security groups for the function", [...this.vpc.securityGroupIds]);
  }

  /**
   * Like `settings`, but for a database user of the function's own, who logs in with an IAM token.
   * @throws SettingsError unless `iamAuthentication` is set.
   */
  public iamSettings(user: string): Database {
    if (!this.#iam.enabled) {
      throw new SettingsError(
        [problem("iamAuthentication", false, `does not allow user ${user} to log in with IAM. Set it to true`)],
        this.node.path,
      );
    }
    return { ...this.settings, user, auth: { type: "iam", resourceId: this.#iam.resourceId } };
  }

  /** The role with which RDS writes its measurements. */
  private monitoringRole({ name, region, tags = {} }: MysqlDatabaseConfig): string {
    return new ServiceRole(this, "monitoring", {
      name: `${name}-${region}-monitoring`,
      service: "monitoring.rds.amazonaws.com",
      allows: "service-role/AmazonRDSEnhancedMonitoringRole",
      tags,
    }).arn;
  }
}

function patternProblems(setting: string, value: string, pattern: RegExp, expectation: string): string[] {
  return !isKnown(value) || pattern.test(value) ? [] : [problem(setting, value, expectation)];
}
