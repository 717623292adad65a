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
  return nodejsRuntime(name, prepared(name));
}

interface Preparation extends Prepared {
  /** Of AWS's client. */
  readonly directory: string;
}

function prepared(name: string): Preparation {
  const preparation = spawnSync(process.execPath, [join(__dirname, "prepare-runtime.mjs"), name], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (preparation.status !== 0) throw new Error(`runtime "${name}" could not be prepared, see above`);
  const modules = join(preparation.stdout.trim(), "node_modules");
  const stamp = JSON.parse(readFileSync(join(modules, ".prepared.json"), "utf8")) as Prepared;
  return { ...stamp, node: resolve(modules, stamp.node), directory: join(modules, "aws-lambda-ric") };
}

function nodejsRuntime(name: string, { node, client, why, directory }: Preparation): LambdaRuntime {
  const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
  const wanted = /\d+/.exec(name)?.[0] ?? "";
  const isNamed = version.startsWith(`v${wanted}.`);
  const inItsPlace = isNamed ? "" : ` (this machine's, instead of ${wanted})`;
  const described = `Node.js ${version}${inItsPlace}`;
  const common = { name, isNode: true, ...(isNamed ? {} : { otherVersion: `Node.js ${version}` }) } as const;
  const manifest = readFileSync(join(directory, "package.json"), "utf8");
  const { version: clientVersion } = JSON.parse(manifest) as { readonly version: string };
  if (!client) {
    return {
      ...common,
      command: [node, join(__dirname, "runtime-client.mjs"), directory],
      isAwsClient: false,
      isLabClient: true,
      description: `${described}, the lab's own runtime client instead of AWS's: the JavaScript of aws-lambda-ric ${clientVersion} without its native addon, since ${why ?? "it was not built"}`,
    };
  }
  // From version 4 on it starts by itself.
  const main = join(directory, "index.mjs");
  return {
    ...common,
    command: existsSync(main) ? [node, main] : [node, join(__dirname, "start-client.mjs"), directory],
    isAwsClient: true,
    description: `${described}, aws-lambda-ric ${clientVersion} (AWS's runtime client)`,
  };
}
