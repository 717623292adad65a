import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { LambdaRuntime } from "./lambda-runtime";

/**
 * The runtime of a container image, such as AWS's public.ecr.aws/lambda/nodejs:24, instead of this machine's
 * Node.js and the client beside it. Pulls the image if it is not there, for Init has no time for that.
 *
 * With a container: SIGTERM goes through Docker to the runtime, SIGKILL ends the container a moment
 * later, and freezing does not reach it. The host's network, which it needs to reach the lab, is Linux's.
 *
 * @param name as in the synthesized stack, e.g. `nodejs24.x`
 * @param environment where docker is found, and what it needs to find its engine; by default this process's
 * @throws if Docker or the image cannot be had; the message says what to do
 */
export function containerRuntime(image: string, name: string, environment = process.env): LambdaRuntime {
  const options = { encoding: "utf8", env: environment } as const;
  const docker = spawnSync("/bin/sh", ["-c", "command -v docker"], options).stdout.trim();
  if (docker === "") throw new Error("docker: not found; install Docker or leave --image out");
  const ask = (...args: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync(docker, args, options);
    return status === 0 ? stdout.trim() : undefined;
  };
  const version = ask("version", "--format", "{{.Server.Version}}");
  if (version === undefined) throw new Error("docker: no engine answers; start Docker or leave --image out");
  if (
    ask("image", "inspect", image) === undefined &&
    spawnSync(docker, ["pull", image], { ...options, stdio: ["ignore", 2, 2] }).status !== 0
  ) {
    throw new Error(`--image "${image}": docker cannot pull it, see above; correct the name or leave --image out`);
  }
  // The runtime's process has nothing of this machine's environment, so it has to be told where the engine is.
  const host = environment["DOCKER_HOST"] ?? ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}") ?? "";
  return {
    name,
    command: [process.execPath, join(__dirname, "container-client.mjs"), docker, host, image],
    isAwsClient: image.startsWith("public.ecr.aws/lambda/"),
    description: `${image} on Docker ${version}; it is not frozen between invocations`,
  };
}
