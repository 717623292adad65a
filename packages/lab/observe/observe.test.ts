/** `observe` reads what moto, in CloudWatch's place, has of a function's log. */
import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { environments } from "./environment-history";

const HOUR = 3_600_000;
const ROOT = join(__dirname, "../../..");
const GROUP = "/aws/lambda/orders";
const INIT = "INIT_START Runtime Version: nodejs:24.v10";

function line(result = "done", durationMs = 5): string {
  return JSON.stringify({ event: "shutdown", durationMs, hooks: [{ name: "mysql", result }] });
}

describe("the environments of a log", () => {
  const now = 100 * HOUR;
  const ends = (...events: readonly (readonly [stream: string, hours: number, message: string])[]) =>
    environments(
      events.map(([stream, hours, message]) => ({ stream, timestamp: hours * HOUR, message })),
      new Map(events.map(([stream, hours]) => [stream, hours * HOUR])),
      now - 3 * HOUR,
    ).map(({ end, problems }) => [end, ...problems]);

  test("end with a clean line, or with one that names the hook", () => {
    expect(ends(["a", 1, INIT], ["a", 2, line()])).toEqual([["clean line"]]);
    expect(ends(["a", 1, INIT], ["a", 2, line("gave up")])).toEqual([["line with a problem", "mysql: gave up"]]);
  });

  test("have ended without a line if the stream has another Init, or was silent for long", () => {
    expect(ends(["a", 1, INIT], ["a", 2, INIT], ["a", 3, line()])).toEqual([["no line"], ["clean line"]]);
    expect(ends(["a", 1, INIT])).toEqual([["no line"]]);
    expect(ends(["a", 99, INIT])).toEqual([["not ended"]]);
  });

  test("are read in the order of their time, in both forms of the log", () => {
    const json = JSON.stringify({ type: "platform.initStart", record: {} });
    expect(ends(["a", 2, line()], ["a", 1, json], ["b", 1, "{ cut"])).toEqual([["clean line"]]);
  });
});

const hasMoto = spawnSync("moto_server", ["--help"]).error === undefined;
if (!hasMoto) console.warn("`observe` is not tested here: no moto_server on the PATH (pip install 'moto[server]')");

(hasMoto ? describe : describe.skip)("the command", () => {
  let moto: ChildProcess;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    moto = spawn("moto_server", ["-H", "127.0.0.1", "-p", "0"], { stdio: ["ignore", "ignore", "pipe"] });
    const port = await new Promise<string>((resolve) => {
      let log = "";
      moto.stderr?.on("data", (chunk: Buffer) => {
        const found = /Running on http:\/\/127\.0\.0\.1:(\d+)/.exec((log += chunk.toString()))?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    const credentials = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key", AWS_REGION: "eu-west-1" };
    environment = { ...process.env, ...credentials, AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, NO_COLOR: "1" };
    const client = new CloudWatchLogsClient({
      endpoint: `http://127.0.0.1:${port}`,
      region: "eu-west-1",
      credentials: { accessKeyId: "id", secretAccessKey: "key" },
    });
    await client.send(new CreateLogGroupCommand({ logGroupName: GROUP }));
    const streams = { right: [INIT, "START RequestId: 1", line()], killed: [INIT, "START RequestId: 2"] };
    for (const [logStreamName, messages] of Object.entries(streams)) {
      await client.send(new CreateLogStreamCommand({ logGroupName: GROUP, logStreamName }));
      const logEvents = messages.map((message, index) => ({ message, timestamp: Date.now() - 5 * HOUR + index }));
      await client.send(new PutLogEventsCommand({ logGroupName: GROUP, logStreamName, logEvents }));
    }
    client.destroy();
  }, 60_000);

  afterAll(() => {
    moto.kill();
  });

  function observe(...args: readonly string[]): Promise<{ readonly code: unknown; readonly output: string }> {
    const command = ["--import", "tsx", join(ROOT, "packages/lab/cli/lab.ts"), "observe", ...args];
    return new Promise((resolve) => {
      execFile(process.execPath, command, { env: environment }, (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, output: stdout + (error === null ? "" : stderr) });
      });
    });
  }

  test("names the environment that ended without a line, and the command that shows it", async () => {
    const { code, output } = await observe("--function", "orders", "--json");
    expect(JSON.parse(output.slice(output.indexOf("{"), output.lastIndexOf("}") + 1))).toMatchObject({
      ...{ begun: 2, clean: 1, withoutLine: 1, notEnded: 0, durationMs: { p50: 5 } },
      notClean: [{ end: "no line", command: expect.stringContaining("--log-stream-name 'killed'") as string }],
    });
    expect(code).toBe(1);
    expect((await observe("--function", "orders")).output).toMatch(/ended without a line +│ 1/);
  });

  test("takes what is silent for less than --silent for alive", async () => {
    const { code, output } = await observe("--function", "orders", "--silent", "1d");
    expect(code).toBe(0);
    expect(output).toMatch(/may still live +│ 1/);
  });

  test("says which option is wrong", async () => {
    expect(await observe("--function", "others")).toMatchObject({
      code: 1,
      output: expect.stringMatching(/others cannot be read: ResourceNotFound.*--region/) as string,
    });
    expect(await observe()).toMatchObject({ code: 2, output: expect.stringContaining("--function <name>") as string });
    expect(await observe("--function", "a", "--since", "soon")).toMatchObject({ code: 2 });
  });
});
