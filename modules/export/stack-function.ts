import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { OWN_VARIABLES } from "../graceful-function/environment";
import { ShutdownExtension } from "../graceful-function/shutdown-extension";
import { ConstructSettingsError } from "../terraform/construct-settings-error";

type Elements<T> = Readonly<Record<string, T & { readonly "//": { readonly metadata: { readonly path: string } } }>>;

interface StackJson {
  readonly data: { readonly archive_file?: Elements<{ readonly source_dir: string; readonly excludes?: string[] }> };
  readonly resource: {
    readonly aws_cloudwatch_log_group?: Elements<{ readonly name: string; readonly retention_in_days: number }>;
    readonly aws_lambda_function?: Elements<Lambda>;
  };
}

interface Lambda {
  readonly function_name: string;
  readonly filename: string;
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
  const archives = Object.entries(json.data.archive_file ?? {});
  const [, archive] = archives.find(([id]) => lambda.filename.includes(`.${id}.`)) ?? [];
  if (archive === undefined)
    throw new ConstructSettingsError([`function ${lambda.function_name} has no archive of its own`]);
  const construct = path.posix.dirname(lambda["//"].metadata.path);
  const groups = Object.values(json.resource.aws_cloudwatch_log_group ?? {});
  const ownGroup = groups.find((group) => path.posix.dirname(group["//"].metadata.path) === construct);
  return {
    directory: archive.source_dir.replace("${path.module}", directory),
    excludes: archive.excludes ?? [],
    auth: lambda.environment?.variables["DB_AUTH"],
    tlsServerName: lambda.environment?.variables["DB_TLS_SERVER_NAME"],
    settings: settingsOf(lambda),
    logRetentionDays: ownGroup?.retention_in_days ?? 365,
    paths: pathsWithin(construct, text),
  };
}

/** Paths of the stack's resources, relative to the function's construct: the same resource has the same in the module. */
export function pathsWithin(construct: string, stackJson: string): readonly string[] {
  const paths = [...stackJson.matchAll(/"path": "([^"]+)",\s+"uniqueId"/g)].map(([, each = ""]) => each);
  return paths.map((each) => path.posix.relative(construct, each));
}

function settingsOf(lambda: Lambda) {
  const variables = Object.entries(lambda.environment?.variables ?? {});
  return {
    architecture: lambda.architectures[0],
    runtime: lambda.runtime,
    handler: lambda.handler,
    memorySize: lambda.memory_size,
    timeout: lambda.timeout,
    reservedConcurrency: lambda.reserved_concurrent_executions ?? -1,
    environment: Object.fromEntries(variables.filter(([name, value]) => !isOwn(name) && !value.includes("${"))),
    ...extensionOf(lambda),
    ephemeralStorage: lambda.ephemeral_storage?.size ?? 512,
    tracing: lambda.tracing_config?.mode ?? "PassThrough",
  };
}

function isOwn(name: string): boolean {
  return OWN_VARIABLES.some((each) => each === name);
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
