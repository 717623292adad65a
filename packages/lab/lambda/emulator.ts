import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { checkNamespace, inManagedNamespace, inNamespace } from "./emulator-namespace";
import type { ExternalExtension, LambdaFunction, ShutdownResult } from "./execution-environment";
import type { LambdaRuntime } from "./lambda-runtime";
import { layersOf } from "./layers";
import { CONCURRENCY_PER_VCPU } from "./managed-environment";
import { processVariables } from "./process-variables";
import { Descendants } from "../processes/descendants";
import { runtimeCommand } from "./runtime-command";
import { freePort, listens } from "../processes/free-port";
import { isExecutable, programPaths } from "../processes/program-path";
import { temporaryDirectory, track } from "../processes/reaper";

/** The version that the lab's tests run. */
export const EMULATOR_PACKAGE =
  "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d";
const PROGRAM = "aws-lambda-rie";

export interface EmulatorConfig {
  /** From {@link emulatorProgram}. */
  readonly program: string;
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: LambdaRuntime;
  readonly extensions: readonly ExternalExtension[];
  /** Worker threads of Managed Instances. @default - an environment with one invocation at a time */
  readonly workers?: number;
}

const UP = /Runtime API Server listening|RIE server started/;
const LISTENS_WITHIN_MS = 10_000;
const START_ATTEMPTS = 3;
const POLL_EVERY_MS = 20;
/** What it writes when the runtime's time is over, the second on Managed Instances. */
const KILLED = /The runtime did not exit after deadline|"Sending SIGKILL to process" name=runtime/;
/** The whole Shutdown phase, and time for the emulator itself. */
const GONE_WITHIN_MS = 10_000;

/**
 * @param path of the program @default - the one on the PATH
 * @throws if there is none; the message says how to get it
 */
export function emulatorProgram(path?: string): string {
  const [found] = path === undefined ? programPaths(PROGRAM) : [resolve(path)].filter(isExecutable);
  if (found !== undefined) return found;
  const what = path === undefined ? `${PROGRAM} is not on the PATH` : `--emulator "${path}" is not a program`;
  throw new Error(`${what}; get it with: go install ${EMULATOR_PACKAGE}`);
}

/**
 * One execution environment in AWS's own emulator. It finds its extensions and, on Managed Instances, the runtime and
 * the function at fixed places. It runs in a mount namespace of its own, so that nothing is written there.
 */
export class Emulator {
  /** What the emulator, the function and its extensions wrote, a line each. */
  readonly logs: string[] = [];
  private hasEnded = false;

  private constructor(
    private readonly process: ChildProcess,
    private readonly url: string,
    private readonly release: () => Promise<void>,
  ) {
    for (const stream of [process.stdout, process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.logs.push(line));
    }
    // Not "exit": what it wrote last is read first.
    for (const event of ["error", "close"]) process.on(event, () => (this.hasEnded = true));
  }

  /** Init begins with the first {@link invoke}, on Managed Instances at once. */
  static async start(config: EmulatorConfig): Promise<Emulator> {
    checkNamespace(config.workers !== undefined);
    for (let attempts = 1; ; attempts += 1) {
      const [port, apiPort] = [await freePort(), await freePort()];
      const emulator = Emulator.launch(config, port, apiPort);
      if (await emulator.isUp(port)) return emulator;
      await emulator.shutdown();
      const logs = emulator.logs.slice(-20).join("\n");
      // Another program may take a port between the look and the use.
      if (attempts === START_ATTEMPTS || !logs.includes("address already in use")) {
        throw new Error(`AWS's emulator did not start: ${config.program}\n${logs}`);
      }
    }
  }

  private static launch(config: EmulatorConfig, port: number, apiPort: number): Emulator {
    const { program, lambdaFunction, runtime, extensions, workers } = config;
    const words = [
      ...[program, "--log-level", "debug"],
      ...["--runtime-interface-emulator-address", `127.0.0.1:${port}`, "--runtime-api-address", `127.0.0.1:${apiPort}`],
    ];
    const temporary = temporaryDirectory();
    const { layerPaths: paths = [], directory, handler } = lambdaFunction;
    const layers = paths.length === 0 ? undefined : layersOf(paths, directory);
    const [command = "", ...args] =
      workers === undefined
        ? inNamespace(
            temporary.path,
            extensions,
            [...words, ...runtimeCommand(lambdaFunction, runtime), handler],
            layers,
          )
        : inManagedNamespace(temporary.path, extensions, lambdaFunction, runtime, words, layers);
    const variable = `LAB_EMULATOR=${temporary.path}`;
    const untrack = track("variable", variable);
    const child = spawn(command, args, {
      cwd: directory,
      env: { ...environment(config), LAB_EMULATOR: temporary.path },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const url = `http://127.0.0.1:${port}/2015-03-31/functions/function/invocations`;
    return new Emulator(child, url, async () => {
      await new Descendants(variable).end(); // the emulator signals the process group only
      temporary.remove();
      untrack();
    });
  }

  private async isUp(port: number): Promise<boolean> {
    const deadline = performance.now() + LISTENS_WITHIN_MS;
    while (!this.logs.some((line) => UP.test(line))) {
      if (this.hasEnded || performance.now() > deadline) return false;
      await sleep(POLL_EVERY_MS);
    }
    // It listens for invocations a moment later.
    while (!(await listens(port)) && performance.now() < deadline) await sleep(POLL_EVERY_MS);
    return true;
  }

  /** Somebody makes it send SIGTERM; without, it sends SIGKILL at once. */
  get hasExtension(): boolean {
    return this.logs.some((line) => /(External|Internal) agent .*registered/.test(line));
  }

  /** How often a worker of Managed Instances has asked for an invocation. */
  get nextRequests(): number {
    return this.logs.filter((line) => line.includes('"Received Runtime /next"')).length;
  }

  /** It answers failures with a JSON object or, where the time is over, with a sentence. */
  async invoke(event: unknown): Promise<{ readonly ok: boolean; readonly answer: string }> {
    const response = await fetch(this.url, { method: "POST", body: JSON.stringify(event) });
    const answer = await response.text();
    const failed = /^Task timed out after|^\s*\{[^]*"errorType":/.test(answer);
    return { ok: response.ok && !failed, answer };
  }

  /** How the runtime was told to end, as far as the emulator has done it: the last time. */
  get endedBy(): ShutdownResult["endedBy"] {
    if (!this.hasExtension) return "SIGKILL at once";
    return this.logs.some((line) => KILLED.test(line)) ? "SIGKILL at its deadline" : "itself";
  }

  /** SIGTERM to the emulator plays the Shutdown phase; resolves with the milliseconds until it is gone. */
  async shutdown(): Promise<number> {
    const begun = performance.now();
    if (!this.hasEnded && this.process.exitCode === null && this.process.signalCode === null) {
      const gone = once(this.process, "exit");
      this.process.kill("SIGTERM");
      const isGone = await Promise.race([gone.then(() => true), sleep(GONE_WITHIN_MS, false, { ref: false })]);
      if (!isGone) this.process.kill("SIGKILL");
    }
    const goneMs = performance.now() - begun;
    await this.release();
    if (!this.hasEnded)
      await Promise.race([once(this.process, "close"), sleep(GONE_WITHIN_MS, undefined, { ref: false })]);
    for (const stream of this.process.stdio) stream?.destroy();
    return goneMs;
  }
}

/** The emulator hands its own environment on to the function. */
function environment({ lambdaFunction, runtime, workers }: EmulatorConfig): NodeJS.ProcessEnv {
  return {
    ...processVariables({
      lambdaFunction,
      runtime,
      process: "runtime",
      ...(workers === undefined ? {} : { managed: { workers, concurrency: CONCURRENCY_PER_VCPU } }),
    }),
    AWS_LAMBDA_FUNCTION_TIMEOUT: String(Math.ceil(lambdaFunction.timeoutMs / 1_000)),
  };
}
