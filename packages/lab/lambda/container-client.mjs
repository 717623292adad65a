/** The runtime's process when the runtime is a container: container-client.mjs <docker> <engine's address> <image> */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";

const [docker, host, image] = process.argv.slice(2);
const name = `lambda-lab-${randomUUID()}`;
const { PATH, LAMBDA_TASK_ROOT, ...environment } = process.env;
// The container sees the host's certificate authorities that a variable names, under the same path and by any name.
const authorities = Object.values(environment).filter((value) => /^\/.*\.pem$/.test(value) && existsSync(value));

// The container is not of this process group, so SIGKILL does not reach it. It does end this process's pipe.
const onEnd = 'read -r end; exec "$0" --host "$1" kill "$2"';
spawn("/bin/sh", ["-c", onEnd, docker, host, name], {
  detached: true,
  // Without the Runtime API's address, by which the lab finds what it has left behind; see processes/descendants.ts.
  env: { PATH, LAB_OUTLIVES_ENVIRONMENT: "1" },
  stdio: ["pipe", "ignore", "ignore"],
}).unref();

const run = [
  ...["--host", host, "run", "--rm", "--name", name],
  "--init", // as PID 1 the runtime would not hear a signal that it has no handler for
  ...["--network", "host", "--volume", `${LAMBDA_TASK_ROOT}:/var/task:ro`, "--env", "LAMBDA_TASK_ROOT=/var/task"],
  ...[...new Set(authorities)].flatMap((file) => ["--volume", `${file}:${file}:ro`]),
  ...["--entrypoint", "/var/runtime/bootstrap"], // the image's own would start AWS's emulator
  ...Object.keys(environment).flatMap((variable) => ["--env", variable]), // names only: anyone can read arguments
];
process.on("SIGTERM", () => {}); // Docker's client is of this process group, has it as well and hands it on
spawn(docker, [...run, image], { stdio: "inherit", env: { PATH, ...environment } }).on("exit", (status, signal) => {
  if (signal === null) process.exit(status);
  process.removeAllListeners("SIGTERM");
  process.kill(process.pid, signal);
});
