import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { OWN_VARIABLES } from "../graceful-function/environment";
import { ShutdownExtension } from "../graceful-function/shutdown-extension";
import type { LogGroup } from "../graceful-function/log-group";
import { isKnown, problem, ConstructSettingsError } from "../terraform/construct-settings-error";

type Elements<T> = Readonly<Record<string, T & { readonly "//": { readonly metadata: { readonly path: string } } }>>;

interface StackJson {
  readonly data: { readonly archive_file?: Elements<{ readonly source_dir: string }> };
  readonly resource: {
    readonly aws_cloudwatch_log_group?: Elements<{ readonly name: string; readonly retention_in_days: number }>;
    readonly aws_lambda_function?: Elements<Lambda>;
  };
}

interface Lambda {
  readonly function_name: string;
  readonly architectures: readonly ["arm64" | "x86_64"];
  readonly runtime: "nodejs22.x" | "nodejs24.x";
  readonly handler: string;
  readonly memory_size: number;
  readonly timeout: number;
  readonly reserved_concurrent_executions?: number;
  readonly layers?: readonly string[];
  readonly environment?: { readonly variables: Readonly<Record<string, string>> };
  readonly ephemeral_storage?: { readonly size: number };
  readonly tracing_config?: { readonly mode: "Active" | "PassThrough" };
  readonly tags?: Readonly<Record<string, string>>;
  readonly logging_config?: {
    readonly log_format: NonNullable<LogGroup["format"]>;
    readonly application_log_level?: LogGroup["applicationLevel"];
    readonly system_log_level?: LogGroup["systemLevel"];
  };
}

/** A function of a synthesized stack: its code, and its settings. */
export type StackFunction = ReturnType<typeof stackFunction>;

/**
 * @param outdir where the app was synthesized to
 * @param wanted name of the function, if the app has more than one
 * @throws ConstructSettingsError unless there is one such function.
 */
export function stackFunction(outdir: string, wanted?: string) {
  const stacks = readdirSync(path.join(outdir, "stacks")).map((name) => path.join(outdir, "stacks", name));
  const all = stacks.flatMap((directory) => {
    const text = readFileSync(path.join(directory, "cdk.tf.json"), "utf8");
    const json = JSON.parse(text) as StackJson;
    return Object.values(json.resource.aws_lambda_function ?? {}).map((lambda) => ({ directory, text, json, lambda }));
  });
  const [found, ...more] = all.filter(({ lambda }) => wanted === undefined || lambda.function_name === wanted);
  if (found === undefined || more.length > 0) {
    const names = all.map(({ lambda }) => lambda.function_name).join(", ");
    throw new ConstructSettingsError([
      `--function ${wanted ?? "(not set)"} names no function or several. Set one of: ${names}`,
    ]);
  }
  const { directory, text, json, lambda } = found;
  const construct = path.posix.dirname(lambda["//"].metadata.path);
  const archives = Object.values(json.data.archive_file ?? {});
  const archive = archives.find((each) => each["//"].metadata.path === `${construct}/zip`);
  if (archive === undefined) {
    throw new ConstructSettingsError([`function ${lambda.function_name} is no GracefulFunction with an archive`]);
  }
  const groups = Object.values(json.resource.aws_cloudwatch_log_group ?? {});
  const ownGroup = groups.find((group) => path.posix.dirname(group["//"].metadata.path) === construct);
  return {
    directory: archive.source_dir.replace("${path.module}", directory),
    auth: lambda.environment?.variables["DB_AUTH"],
    tlsServerName: lambda.environment?.variables["DB_TLS_SERVER_NAME"],
    settings: settingsOf(lambda),
    attributes: Object.keys(lambda),
    logRetentionDays: ownGroup?.retention_in_days ?? 365,
    paths: pathsWithin(construct, text),
  };
}

/** Paths of the stack's resources, relative to the function's construct: the same resource has the same in the module. */
export function pathsWithin(construct: string, stackJson: string): readonly string[] {
  const paths = [...stackJson.matchAll(/"path": "([^"]+)",\s+"uniqueId"/g)].map(([, each = ""]) => each);
  return paths.map((each) => path.posix.relative(construct, each));
}

/** @throws ConstructSettingsError for what refers to other resources, and has no variable in the module */
function settingsOf(lambda: Lambda) {
  const { handler, layers, ephemeral_storage, tracing_config, logging_config } = lambda;
  const variables = lambda.environment?.variables ?? {};
  const { log_format, application_log_level, system_log_level } = logging_config ?? {};
  const levels = [log_format, application_log_level, system_log_level];
  const fixed = { handler, layers, ephemeral_storage, tracing_config, logging_config: levels };
  const referring = Object.entries(fixed).filter(([, value]) => !isKnown(JSON.stringify(value ?? "")));
  if (typeof variables === "string") referring.push(["environment", variables]);
  ConstructSettingsError.throwIfAny(
    referring.map(([name, value]) =>
      problem(`${lambda.function_name}: ${name}`, value, "refers to other resources. Set a value for the export"),
    ),
  );
  const own = Object.entries(variables).filter(([name]) => !(OWN_VARIABLES as readonly string[]).includes(name));
  return {
    architecture: lambda.architectures[0],
    runtime: lambda.runtime,
    handler: lambda.handler,
    memorySize: lambda.memory_size,
    timeout: lambda.timeout,
    reservedConcurrency: lambda.reserved_concurrent_executions ?? -1,
    environment: Object.fromEntries(own.filter(([, value]) => isKnown(value))),
    /** Names of variables whose values refer to other resources. */
    references: own.filter(([, value]) => !isKnown(value)).map(([name]) => name),
    logging: { format: log_format, applicationLevel: application_log_level, systemLevel: system_log_level },
    tags: isKnown(JSON.stringify(lambda.tags)) ? (lambda.tags ?? {}) : {},
    ...extensionOf(lambda),
    ephemeralStorage: lambda.ephemeral_storage?.size ?? 512,
    tracing: lambda.tracing_config?.mode ?? "PassThrough",
  };
}

function extensionOf({ layers = [], environment }: Lambda) {
  const kind = environment?.variables["SHUTDOWN_EXTENSION"];
  const [first = "", ...rest] = layers;
  if (kind === "internal") return { shutdownExtension: ShutdownExtension.internal(), layers };
  if (kind !== "external") return { shutdownExtension: ShutdownExtension.none(), layers };
  const isInsights = first.includes(":layer:LambdaInsightsExtension");
  const shutdownExtension = isInsights ? ShutdownExtension.insights() : ShutdownExtension.layer(first);
  return { shutdownExtension, layers: rest };
}
