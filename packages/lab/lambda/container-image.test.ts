import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { containerRuntime } from "./container-image";
import { ExecutionEnvironment } from "./execution-environment";

const IMAGE = "public.ecr.aws/lambda/nodejs:24";

let folder: string;
let environment: ExecutionEnvironment | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "container-"));
});
afterEach(async () => {
  await environment?.shutdown();
  environment = undefined;
  rmSync(folder, { recursive: true });
});

/** The environment of a machine whose Docker client is a fake. */
function fakeDocker(script: string): NodeJS.ProcessEnv {
  const file = join(folder, "bin", "docker");
  mkdirSync(join(folder, "bin"), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n[ "$1" = --host ] && shift 2\n${script}`, { mode: 0o755 });
  return { PATH: `${join(folder, "bin")}:/usr/bin:/bin` };
}

test("without Docker's client the error says so", () => {
  const why = "docker: not found; install Docker or leave --image out";
  expect(() => containerRuntime(IMAGE, "nodejs24.x", { PATH: folder })).toThrow(why);
});

test("without an engine the error says so", () => {
  const machine = fakeDocker("exit 1");
  const why = "docker: no engine answers; start Docker or leave --image out";
  expect(() => containerRuntime(IMAGE, "nodejs24.x", machine)).toThrow(why);
});

test("an image that cannot be pulled is named", () => {
  const machine = fakeDocker('[ "$1" = version ] && echo 28.0.0');
  const why = `--image "${IMAGE}": docker cannot pull it, see above; correct the name or leave --image out`;
  expect(() => containerRuntime(IMAGE, "nodejs24.x", machine)).toThrow(why);
});

// In the container's place runs the lab's own runtime client; container-runs.test.ts has an engine.
test("the container gets the code, the variables by name, and the end that the runtime gets", async () => {
  const client = join(__dirname, "runtime-client.mjs");
  const written = (file: string): string[] => readFileSync(join(folder, file), "utf8").trim().split("\n");
  const machine = fakeDocker(`case "$1" in
  version) echo 28.0.0 ;;
  context) echo unix:///nowhere ;;
  run) printf '%s\\n' "$@" >"${folder}/run"; LAMBDA_TASK_ROOT="${folder}" exec "${process.execPath}" "${client}" ;;
  kill) echo "$2" >"${folder}/killed" ;;
esac`);
  const authority = join(folder, "authority.pem");
  writeFileSync(authority, "a certificate");
  writeFileSync(join(folder, "index.mjs"), "export const handler = async () => process.env.COLOUR;");
  environment = new ExecutionEnvironment({
    runtime: containerRuntime(IMAGE, "nodejs24.x", machine),
    lambdaFunction: {
      name: "a-function",
      directory: folder,
      handler: "index.handler",
      memorySizeMb: 128,
      timeoutMs: 20_000,
      environment: { COLOUR: "a secret", SSL_CERT_FILE: authority, DB_CA: authority, ABSENT: "/nowhere.pem" },
    },
  });
  expect(await environment.invoke({})).toMatchObject({ ok: true, payload: "a secret" });

  const args = written("run");
  const after = (option: string): string[] => args.filter((_, index) => args[index - 1] === option);
  expect(after("--volume")).toEqual([`${folder}:/var/task:ro`, `${authority}:${authority}:ro`]);
  expect(after("--entrypoint")).toEqual(["/var/runtime/bootstrap"]);
  expect(after("--network")).toEqual(["host"]);
  expect(after("--env")).toEqual(expect.arrayContaining(["COLOUR", "AWS_LAMBDA_RUNTIME_API", "_HANDLER"]));
  expect(after("--env")).not.toContain("PATH");
  expect(args.join(" ")).not.toContain("a secret");
  expect(args.at(-1)).toBe(IMAGE);

  expect(await environment.shutdown()).toMatchObject({ endedBy: "SIGKILL at once" });
  for (let wait = 0; wait < 1_000 && !existsSync(join(folder, "killed")); wait++) await sleep(10);
  expect(written("killed")).toEqual(after("--name"));
});
