import type { TerraformProvider } from "cdktf";
import { CODE_BUNDLE, type CodeBundleConfig } from "../code/code-bundle";
import { CODE_DIRECTORY, type CodeDirectoryConfig } from "../code/code-directory";
import { ARCHITECTURES, type Architecture } from "../code/native-code";
import { DATABASE, type Database } from "./database";
import { EXISTING_ROLE, type ExistingRole } from "./execution-role";
import { LOG_GROUP, type LogGroup } from "./log-group";
import { ShutdownExtension } from "./shutdown-extension";
import { optional, read, required, type OptionTable } from "../terraform/option-table";

/** What Lambda still creates, and the lab runs: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html */
export const RUNTIMES = ["nodejs22.x", "nodejs24.x"] as const;
export type Runtime = (typeof RUNTIMES)[number];

export interface VpcConfig {
  /** Private subnets: a function has no public address. */
  readonly subnetIds: readonly string[];

  /** Security groups of the function. */
  readonly securityGroupIds: readonly string[];

  /**
   * The subnets reach CloudWatch Logs, which Insights needs, by an interface endpoint or NAT.
   * @default false - a warning with Insights
   */
  readonly reachesLogs?: boolean;
}

/** A container image brings its handler and its runtime. */
export interface CodeImageConfig {
  /** Or the URI of an image in Amazon ECR, with tag or digest. */
  readonly image: string;
}

export interface GracefulFunctionConfig {
  /** The AWS provider's region. */
  readonly region: string;

  /** @default - the stack's without an alias */
  readonly provider?: TerraformProvider;

  /** It also names role, policies and log group. */
  readonly functionName: string;

  /** `entry`, `directory` or `image`. */
  readonly code: CodeBundleConfig | CodeDirectoryConfig | CodeImageConfig;

  /** @default "arm64" */
  readonly architecture?: Architecture;

  /** @default "nodejs24.x" */
  readonly runtime?: Runtime;

  /**
   * Megabytes of memory.
   * @default 1024
   */
  readonly memorySize?: number;

  /**
   * Seconds for an invocation.
   * @default 60
   */
  readonly timeout?: number;

  /**
   * Megabytes of /tmp.
   * @default 512
   */
  readonly ephemeralStorage?: number;

  /**
   * What makes Lambda send SIGTERM.
   * @default ShutdownExtension.insights() - with an image `.internal()`
   */
  readonly shutdownExtension?: ShutdownExtension;

  /** @default - none */
  readonly database?: Database;

  /**
   * Further environment variables.
   * @default {}
   */
  readonly environment?: Readonly<Record<string, string>>;

  /**
   * ARNs of further layers; Lambda allows 5 in all.
   * @default []
   */
  readonly layers?: readonly string[];

  /**
   * Environments at a time, from the account's limit; 0 stops the function.
   * @default - what the account has left
   */
  readonly reservedConcurrency?: number;

  /**
   * X-Ray: "Active" traces invocations, "PassThrough" those that the caller traces.
   * @default "PassThrough"
   */
  readonly tracing?: "Active" | "PassThrough";

  /** @default - no VPC of yours */
  readonly vpc?: VpcConfig;

  /** @default {} */
  readonly logGroup?: LogGroup;

  /**
   * An existing role to run with.
   * @default - a new role
   */
  readonly role?: ExistingRole;

  /**
   * Former id, or former path such as `/orders/function`.
   *
   * Terraform then moves its resources instead of replacing them.
   * @default - nothing is moved
   */
  readonly formerId?: string;

  /**
   * Tags of function, role, policies and log group.
   * @default {}
   */
  readonly tags?: Readonly<Record<string, string>>;
}

const CODE_IMAGE: OptionTable<CodeImageConfig> = { image: required("text") };

const VPC: OptionTable<VpcConfig> = {
  subnetIds: required("list"),
  securityGroupIds: required("list"),
  reachesLogs: read(optional("boolean")),
};

const SHUTDOWN_EXTENSION = {
  phrase: "a ShutdownExtension, such as .internal()",
  accepts: (value: unknown) => value instanceof ShutdownExtension,
};

export const GRACEFUL_FUNCTION: OptionTable<GracefulFunctionConfig> = {
  region: required("text"),
  provider: read(optional("provider")),
  functionName: required("text"),
  code: required("object", (code) =>
    "image" in code ? CODE_IMAGE : "directory" in code ? CODE_DIRECTORY : CODE_BUNDLE,
  ),
  architecture: optional(ARCHITECTURES),
  runtime: optional("text"),
  memorySize: optional("number"),
  timeout: optional("number"),
  ephemeralStorage: optional("number"),
  shutdownExtension: read(optional(SHUTDOWN_EXTENSION)),
  database: optional("object", () => DATABASE),
  environment: optional("map"),
  layers: optional("list"),
  reservedConcurrency: optional("number"),
  tracing: read(optional(["Active", "PassThrough"])),
  vpc: optional("object", () => VPC),
  logGroup: optional("object", () => LOG_GROUP),
  role: optional("object", () => EXISTING_ROLE),
  formerId: read(optional("text")),
  tags: optional("map"),
};

/** Every option that has a value without being set. Terraform keeps an old value where it finds none. */
export function withDefaults(config: GracefulFunctionConfig) {
  const isImage = "image" in config.code;
  return {
    ...config,
    architecture: config.architecture ?? "arm64",
    runtime: config.runtime ?? "nodejs24.x",
    memorySize: config.memorySize ?? 1024,
    timeout: config.timeout ?? 60,
    ephemeralStorage: config.ephemeralStorage ?? 512,
    tracing: config.tracing ?? "PassThrough",
    shutdownExtension:
      config.shutdownExtension ?? (isImage ? ShutdownExtension.internal() : ShutdownExtension.insights()),
    environment: config.environment ?? {},
    logGroup: config.logGroup ?? {},
  } satisfies GracefulFunctionConfig;
}

export type Settings = ReturnType<typeof withDefaults>;
