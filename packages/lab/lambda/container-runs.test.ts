/**
 * `--image` with a real Docker engine: the one that answers or, for root, a throwaway one of the dockerd that is
 * installed. AWS's base image is a download; the image here stands in for it: AWS's runtime client, Node.js and a
 * shell.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lambdaRuntime } from "./lambda-runtime";

const ROOT = join(__dirname, "../../..");
const IMAGE = "lambda-graceful-shutdown/fake-base-image";
const CONTAINERS = ["ps", "--all", "--quiet", "--filter", `ancestor=${IMAGE}`];

/** For a container that has started: its Init and the first, quick invocation take a fraction of it. */
const BUSY_AFTER_MS = 2_000;

const scratch = mkdtempSync(join(tmpdir(), "container-image-"));
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  MYSQL_URL: "",
  CDKTF_OUTDIR: join(scratch, "cdktf.out"),
  NO_COLOR: "1",
  FORCE_COLOR: undefined, // which Jest sets on a terminal
};
const answers = (): boolean => spawnSync("docker", ["version"], { env: environment }).status === 0;
const isInstalled = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;

const mayStartEngine = process.getuid?.() === 0 && ["docker", "dockerd"].every(isInstalled);
/** Elsewhere the host's network is not the engine's. */
const isProvable = process.platform === "linux" && (answers() || mayStartEngine);
let engine: ChildProcess | undefined;

function docker(...args: readonly string[]): string {
  return execFileSync("docker", args, { env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** Changes neither the machine's network (what the lab runs uses the host's) nor its mounts. */
async function startEngine(): Promise<void> {
  const host = `unix://${join(scratch, "docker.sock")}`;
  environment["DOCKER_HOST"] = host;
  const own = ["data-root", "exec-root"].flatMap((option) => [`--${option}`, join(scratch, option)]);
  const network = ["--bridge=none", "--iptables=false", "--ip6tables=false"];
  const address = ["--pidfile", join(scratch, "docker.pid"), "--host", host];
  engine = spawn("unshare", ["--mount", "dockerd", ...own, ...network, ...address], { stdio: "ignore" });
  for (let wait = 0; wait < 200 && !answers(); wait++) await sleep(100);
}

/** Where AWS's image has them: the client, the Node.js that it runs on, a shell for the script that starts it. */
function importImage(): void {
  const [node = "", client = ""] = lambdaRuntime("nodejs24.x").command;
  const image = join(scratch, "image");
  const put = (from: string, to: string): void => {
    mkdirSync(dirname(join(image, to)), { recursive: true });
    cpSync(from, join(image, to), { recursive: true, dereference: true });
  };
  put(node, "/var/lang/bin/node");
  put(dirname(client), "/var/runtime/client");
  put("/bin/sh", "/bin/sh");
  for (const file of [node, "/bin/sh", join(dirname(client), "rapid-client.node")]) {
    for (const [library] of execFileSync("ldd", [file], { encoding: "utf8" }).matchAll(/\/\S+/g)) put(library, library);
  }
  mkdirSync(join(image, "tmp"), { recursive: true });
  const bootstrap = "#!/bin/sh\nexec /var/lang/bin/node /var/runtime/client/index.mjs\n";
  writeFileSync(join(image, "var/runtime/bootstrap"), bootstrap, { mode: 0o755 });
  execFileSync("tar", ["--create", "--file", `${image}.tar`, "--directory", image, "."]);
  docker("import", `${image}.tar`, IMAGE);
}

afterAll(async () => {
  if (answers()) spawnSync("docker", ["image", "rm", IMAGE], { env: environment });
  if (engine !== undefined) {
    const ended = once(engine, "exit");
    engine.kill();
    await ended;
  }
  rmSync(scratch, { recursive: true, force: true });
});

if (!isProvable) {
  test("NOT PROVEN without Docker: that --image runs a function in a container, and that no container is left", () => {
    console.warn(
      "no Docker engine answers on Linux, and none can be started: start Docker, or as root install dockerd",
    );
  });
} else {
  beforeAll(async () => {
    if (!answers()) await startEngine();
    importImage();
  }, 60_000);

  const lab = (...args: readonly string[]): ChildProcess =>
    spawn(process.execPath, ["--import", "tsx", "packages/lab/cli/lab.ts", "run", "--image", IMAGE, ...args], {
      ...{ cwd: ROOT, env: environment, stdio: ["ignore", "pipe", "ignore"] },
    });

  test.each([
    ["spindown", [], "closed", "itself"],
    ["timeout", ["--end", "timeout"], "closed", "itself"],
    ["no extension", ["--extension", "none"], "leaked", "SIGKILL at once"],
  ])("a container is invoked and ended like the runtime: %s", async (_, args, outcome, endedBy) => {
    const running = lab(...args, "--json");
    let text = "";
    running.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    await once(running, "close");
    const { runtime, result } = JSON.parse(text) as {
      readonly runtime: { readonly description: string };
      readonly result: {
        readonly logIn: object;
        readonly outcomes: readonly string[];
        readonly shutdown: { readonly endedBy: string };
      };
    };
    expect(runtime.description).toMatch(new RegExp(`^${IMAGE} on Docker \\d+\\.`));
    expect(result.logIn).toEqual({ auth: "secret", tls: "verified" });
    expect(new Set(result.outcomes)).toEqual(new Set([outcome]));
    expect(result.shutdown.endedBy).toBe(endedBy);
  });

  test("the container has the lab's certificate authority under the name of any variable", async () => {
    const handler = join(scratch, "reads-authority");
    mkdirSync(handler, { recursive: true });
    const code = `import { readFileSync } from "node:fs";
export const handler = async () => readFileSync(process.env.ORDERS_CA, "latin1").split("\\n")[0];`;
    writeFileSync(join(handler, "index.mjs"), code);
    const running = lab("--handler", handler, "--timeout", "30", "--env", "ORDERS_CA={ca}", "--json");
    let text = "";
    running.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    await once(running, "close");
    const payload = "-----BEGIN CERTIFICATE-----";
    expect(JSON.parse(text)).toMatchObject({ result: { invocations: [{ ok: true, payload }] } });
  });

  test("no container outlives the lab, though SIGKILL ends it in an invocation", async () => {
    const handler = join(scratch, "handler");
    mkdirSync(handler, { recursive: true });
    const code = "export const handler = ({ slow }) => new Promise((answer) => setTimeout(answer, slow ? 60_000 : 0));";
    writeFileSync(join(handler, "index.mjs"), code);
    const slow = ["--end", "timeout", "--timeout", "60", "--slow-event", '{"slow":true}'];
    const running = lab("--handler", handler, ...slow);
    for (let wait = 0; wait < 300 && docker(...CONTAINERS) === ""; wait++) await sleep(50);
    await sleep(BUSY_AFTER_MS); // busy, it does not see by itself that the Runtime API is gone
    expect(docker(...CONTAINERS)).not.toBe("");
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
    for (let wait = 0; wait < 200 && docker(...CONTAINERS) !== ""; wait++) await sleep(50);
    expect(docker(...CONTAINERS)).toBe("");
  });
}
