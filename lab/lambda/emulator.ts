import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, chmodSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { delimiter, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExternalExtension, LambdaFunction, ShutdownResult } from "./execution-environment";
import { isProvided, type LambdaRuntime } from "./lambda-runtime";
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
}

const LISTENS_WITHIN_MS = 10_000;
const POLL_EVERY_MS = 20;
/** The whole Shutdown phase, and time for the emulator itself. */
const GONE_WITHIN_MS = 10_000;

/**
 * @param path of the program @default - the one on the PATH
 * @throws if there is none; the message says how to get it
 */
export function emulatorProgram(path?: string): string {
  const candidates =
    path === undefined
      ? (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, PROGRAM))
      : [resolve(path)];
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // It may be in the next one.
    }
  }
  const what = path === undefined ? `${PROGRAM} is not on the PATH` : `--emulator "${path}" is not a program`;
  throw new Error(`${what}; get it with: go install ${EMULATOR_PACKAGE}`);
}

/**
 * One execution environment in AWS's own emulator. Its extensions are those in /opt/extensions; so that nothing is
 * written there, it runs in a mount namespace of its own, in which /opt is the lab's.
 */
export class Emulator {
  /** What the emulator, the function and its extensions wrote, a line each. */
  readonly logs: string[] = [];

  private constructor(
    private readonly process: ChildProcess,
    private readonly url: string,
    private readonly release: () => void,
  ) {
    for (const stream of [process.stdout, process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.logs.push(line));
    }
  }

  /** Init begins with the first {@link invoke}. */
  static async start(config: EmulatorConfig): Promise<Emulator> {
    const { program, lambdaFunction, runtime, extensions } = config;
    const temporary = temporaryDirectory();
    const folder = join(temporary.path, "extensions");
    mkdirSync(folder);
    for (const { name, command } of extensions) {
      const line = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
      writeFileSync(join(folder, name), `#!/bin/sh\nexec ${line}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const [port, apiPort] = [await freePort(), await freePort()];
    const words = [
      ...[program, "--log-level", "debug"],
      ...["--runtime-interface-emulator-address", `127.0.0.1:${port}`, "--runtime-api-address", `127.0.0.1:${apiPort}`],
      ...[...runtime.command, lambdaFunction.handler],
    ];
    const [command = "", ...args] = inNamespace(temporary.path, words);
    const variable = `LAB_EMULATOR=${temporary.path}`;
    const untrack = track("variable", variable);
    const child = spawn(command, args, {
      cwd: lambdaFunction.directory,
      env: { ...environment(lambdaFunction, runtime), LAB_EMULATOR: temporary.path },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.on("error", () => undefined);
    const emulator = new Emulator(child, `http://127.0.0.1:${port}/2015-03-31/functions/function/invocations`, () => {
      temporary.remove();
      untrack();
    });
    const deadline = performance.now() + LISTENS_WITHIN_MS;
    while (!emulator.logs.some((line) => line.includes("Runtime API Server listening"))) {
      if (child.pid === undefined || child.exitCode !== null || performance.now() > deadline) {
        child.kill("SIGKILL");
        emulator.release();
        throw new Error(`AWS's emulator did not start: ${words.join(" ")}\n${emulator.logs.slice(-20).join("\n")}`);
      }
      await sleep(POLL_EVERY_MS);
    }
    // It listens for invocations a moment later.
    while (!(await listens(port)) && performance.now() < deadline) await sleep(POLL_EVERY_MS);
    return emulator;
  }

  /** Somebody makes it send SIGTERM; without, it sends SIGKILL at once. */
  get hasExtension(): boolean {
    return this.logs.some((line) => /(External|Internal) agent .* registered/.test(line));
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
    return this.logs.some((line) => line.includes("The runtime did not exit after deadline"))
      ? "SIGKILL at its deadline"
      : "itself";
  }

  /** SIGTERM to the emulator plays the Shutdown phase; resolves with the milliseconds until it is gone. */
  async shutdown(): Promise<number> {
    const begun = performance.now();
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const gone = once(this.process, "exit");
      this.process.kill("SIGTERM");
      const isGone = await Promise.race([gone.then(() => true), sleep(GONE_WITHIN_MS, false, { ref: false })]);
      if (!isGone) this.process.kill("SIGKILL");
    }
    this.release();
    return performance.now() - begun;
  }
}

/** The emulator hands its own environment on to the function. */
function environment(lambdaFunction: LambdaFunction, runtime: LambdaRuntime): NodeJS.ProcessEnv {
  const { name, directory, handler, memorySizeMb, timeoutMs } = lambdaFunction;
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    AWS_REGION: "us-east-1",
    AWS_DEFAULT_REGION: "us-east-1",
    ...(isProvided(runtime.name) ? {} : { AWS_EXECUTION_ENV: `AWS_Lambda_${runtime.name}` }),
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySizeMb),
    AWS_LAMBDA_FUNCTION_TIMEOUT: String(Math.ceil(timeoutMs / 1_000)),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: "lab",
    LAMBDA_TASK_ROOT: directory,
    _HANDLER: handler,
    ...lambdaFunction.environment,
  };
}

/** As root or as a user who may have namespaces of his own; each of these programs is replaced by the next. */
function inNamespace(opt: string, words: readonly string[]): readonly string[] {
  const unshare = ["unshare", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount"];
  const [program = "", ...options] = unshare;
  if (spawnSync(program, [...options, "true"]).status !== 0) {
    throw new Error(
      `AWS's emulator takes its extensions from /opt, which the lab replaces in a mount namespace; ${unshare.join(" ")} does not work here: run it as root on Linux`,
    );
  }
  return [...unshare, "/bin/sh", "-c", 'mount --bind "$0" /opt && exec "$@"', opt, ...words];
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}
