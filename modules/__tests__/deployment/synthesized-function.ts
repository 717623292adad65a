import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The one function of a synthesized stack, as Terraform is to deploy it. */
export interface SynthesizedFunction {
  readonly name: string;
  readonly handler: string;
  readonly runtime: string;
  readonly memorySizeMb: number;
  readonly timeoutMs: number;
  readonly layers: readonly string[];
  /** Without the variables that only Terraform knows. */
  readonly environment: Readonly<Record<string, string>>;
  /** Of the staged code. */
  readonly directory: string;
}

interface Attributes {
  readonly function_name: string;
  readonly handler: string;
  readonly runtime: string;
  readonly memory_size: number;
  readonly timeout: number;
  readonly layers?: readonly string[];
  readonly environment: { readonly variables: Readonly<Record<string, string>> };
}

/** @param file path of a `cdk.tf.json` */
export function synthesizedFunction(file: string): SynthesizedFunction {
  const { data, resource } = JSON.parse(readFileSync(file, "utf8")) as {
    readonly data: { readonly archive_file: Readonly<Record<string, { readonly source_dir: string }>> };
    readonly resource: { readonly aws_lambda_function: Readonly<Record<string, Attributes>> };
  };
  const [found] = Object.values(resource.aws_lambda_function);
  const [archive] = Object.values(data.archive_file);
  if (found === undefined || archive === undefined) throw new Error(`${file} has no function with an archive`);
  const variables = Object.entries(found.environment.variables);
  return {
    name: found.function_name,
    handler: found.handler,
    runtime: found.runtime,
    memorySizeMb: found.memory_size,
    timeoutMs: found.timeout * 1_000,
    layers: found.layers ?? [],
    environment: Object.fromEntries(variables.filter(([, value]) => !value.includes("${"))),
    directory: resolve(dirname(file), archive.source_dir.replace("${path.module}", ".")),
  };
}
