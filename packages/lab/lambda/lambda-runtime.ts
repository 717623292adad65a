import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pythonRuntime } from "./python-runtime";
import type { LambdaRuntime } from "./runtime";

export type { LambdaRuntime } from "./runtime";

/** What `--runtime` takes. */
export const RUNTIMES = [
  "nodejs24.x",
  "nodejs22.x",
  "python3.14",
  "python3.13",
  "python3.12",
  "python3.11",
  "provided.al2023",
  "provided.al2",
  "provided",
] as const;

/** Whose runtime is the program `bootstrap` in the function's directory: Go, Rust, C++ or any other. */
export function isProvided(runtime: string): boolean {
  return /^provided(\.|$)/.test(runtime);
}

export function isPython(runtime: string): boolean {
  return runtime.startsWith("python");
}

interface Prepared {
  readonly node: string;
  readonly client: boolean;
  readonly why?: string;
}

/**
 * Prepares the runtime (which shows its own progress) if that has not been done.
 *
 * @param name as in the synthesized stack, one of {@link RUNTIMES}
 * @throws if the lab has no such runtime; the message lists what to do
 */
export function lambdaRuntime(name: string): LambdaRuntime {
  if (isPython(name)) return pythonRuntime(name);
  if (isProvided(name)) {
    const description = "the function's own bootstrap, on this machine's operating system instead of Amazon Linux";
    return { name, command: ["./bootstrap"], isAwsClient: false, description };
  }
  const preparation = spawnSync(process.execPath, [join(__dirname, "prepare-runtime.mjs"), name], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (preparation.status !== 0) throw new Error(`runtime "${name}" could not be prepared, see above`);

  const modules = join(preparation.stdout.trim(), "node_modules");
  const stamp = JSON.parse(readFileSync(join(modules, ".prepared.json"), "utf8")) as Prepared;
  const prepared = { ...stamp, node: resolve(modules, stamp.node) };
  const version = spawnSync(prepared.node, ["--version"], { encoding: "utf8" }).stdout.trim();
  const wanted = /\d+/.exec(name)?.[0] ?? "";
  const isNamed = version.startsWith(`v${wanted}.`);
  const node = `Node.js ${version}${isNamed ? "" : ` (this machine's, instead of ${wanted})`}`;
  const other = isNamed ? {} : { otherVersion: `Node.js ${version}` };
  const client = join(modules, "aws-lambda-ric");
  const { version: clientVersion } = JSON.parse(readFileSync(join(client, "package.json"), "utf8")) as {
    version: string;
  };
  if (!prepared.client) {
    return {
      ...{ name, ...other },
      command: [prepared.node, join(__dirname, "runtime-client.mjs"), client],
      isAwsClient: false,
      isLabClient: true,
      isNode: true,
      description: `${node}, the lab's own runtime client instead of AWS's: the JavaScript of aws-lambda-ric ${clientVersion} without its native addon, since ${prepared.why ?? "it was not built"}`,
    };
  }
  return {
    ...{ name, ...other },
    // From version 4 on it starts by itself.
    command: existsSync(join(client, "index.mjs"))
      ? [prepared.node, join(client, "index.mjs")]
      : [prepared.node, join(__dirname, "start-client.mjs"), client],
    isAwsClient: true,
    isNode: true,
    description: `${node}, aws-lambda-ric ${clientVersion} (AWS's runtime client)`,
  };
}
