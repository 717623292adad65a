import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { LambdaFunction } from "../lambda/execution-environment";

/** A function as `cdktf synth` wrote it, which is what Terraform would deploy. */
export interface SynthesizedFunction extends LambdaFunction {
  /** e.g. `nodejs24.x` */
  readonly runtime: string;
  readonly layers: readonly string[];
}

interface TerraformFunction {
  readonly function_name: string;
  readonly handler: string;
  readonly runtime: string;
  readonly filename: string;
  readonly memory_size?: number;
  readonly timeout?: number;
  readonly layers?: readonly string[];
  readonly environment?: { readonly variables?: Readonly<Record<string, string>> };
}

interface TerraformJson {
  readonly data?: { readonly archive_file?: Readonly<Record<string, { readonly source_dir: string }>> };
  readonly resource?: { readonly aws_lambda_function?: Readonly<Record<string, TerraformFunction>> };
}

/**
 * Reads the one function of a synthesized stack, with its staged directory.
 *
 * @param file path of a `cdk.tf.json`
 * @throws if the stack has no function, or code that is not a staged directory
 */
export function synthesizedFunction(file: string): SynthesizedFunction {
  const { data, resource } = JSON.parse(readFileSync(file, "utf8")) as TerraformJson;
  const [found, ...more] = Object.values(resource?.aws_lambda_function ?? {});
  if (found === undefined || more.length > 0) {
    throw new Error(
      `${file} has ${found === undefined ? "no" : more.length + 1} aws_lambda_function; the lab runs one`,
    );
  }
  const archive = /^\$\{data\.archive_file\.([\w-]+)\.output_path\}$/.exec(found.filename)?.[1] ?? "";
  const source = data?.archive_file?.[archive]?.source_dir;
  if (source === undefined) {
    throw new Error(
      `${file}: filename "${found.filename}" is not the output_path of a data.archive_file with a source_dir`,
    );
  }
  // A variable that Terraform only knows later is none the lab could pass on; it sets the database's own.
  const known = Object.entries(found.environment?.variables ?? {}).filter(([, value]) => !value.includes("${"));
  return {
    name: found.function_name,
    directory: resolve(dirname(file), source.replace("${path.module}", ".")),
    handler: found.handler,
    runtime: found.runtime,
    memorySizeMb: found.memory_size ?? 128,
    timeoutMs: (found.timeout ?? 3) * 1_000,
    layers: found.layers ?? [],
    environment: Object.fromEntries(known),
  };
}
