/** A Web Function in the lab: a server of Node.js' own, which does what its paths say. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { InitError } from "./lambda-errors";
import { CUT_OFF, WebEnvironment, type WebAnswer, type WebConfig } from "./web-environment";

const RUNTIME = { name: "nodejs24.x", command: [process.execPath], isAwsClient: false, description: "" };

/** `/ms/<n>` is answered after n milliseconds, `/slow` never wholly, `/environment` with the variables. */
const SERVER = `
const http = require("node:http");
const [host, port] = process.env.AWS_LAMBDA_HTTP_ENDPOINT.split(":");
const server = http.createServer((request, response) => {
  if (request.url === "/environment") return response.end(JSON.stringify(process.env));
  if (request.url === "/slow") return response.write("a part");
  setTimeout(() => response.end("done"), Number(request.url.split("/")[2] ?? 0));
});
server.listen(port, host);
const leave = () => { process.removeAllListeners("SIGTERM"); process.kill(process.pid, "SIGTERM"); };
if (process.env.ON_SIGTERM === "close") process.on("SIGTERM", () => { server.close(leave); setInterval(() => server.closeIdleConnections(), 20); });
if (process.env.ON_SIGTERM === "leave") process.on("SIGTERM", leave);
if (process.env.ON_SIGTERM === "stay") process.on("SIGTERM", () => console.log("heard"));
`;

let directory: string;
let lab: WebEnvironment;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "web-"));
  writeFileSync(join(directory, "index.js"), SERVER);
});
afterEach(async () => {
  await lab.shutdown();
  rmSync(directory, { recursive: true });
});

function environment(
  variables: Readonly<Record<string, string>> = {},
  config: Partial<WebConfig> = {},
): WebEnvironment {
  const described = { name: "f", directory, handler: "index.handler", memorySizeMb: 2_048, timeoutMs: 3_000 };
  lab = new WebEnvironment({ runtime: RUNTIME, lambdaFunction: { ...described, environment: variables }, ...config });
  return lab;
}

async function requests(path: string, count: number): Promise<readonly WebAnswer[]> {
  return Promise.all(Array.from({ length: count }, () => lab.request({ path })));
}

test("the server of index.js answers many requests at once, in one process", async () => {
  await environment().init();
  const begun = performance.now();
  const answers = await requests("/ms/500", 64);
  expect(answers.filter(({ ok }) => ok)).toHaveLength(64);
  expect(answers[0]).toMatchObject({ status: 200, body: "done" });
  expect(performance.now() - begun).toBeLessThan(64 * 500);
});

test("AWS_LAMBDA_NODEJS_ENTRYPOINT names another file", async () => {
  writeFileSync(join(directory, "server.cjs"), SERVER);
  writeFileSync(join(directory, "index.js"), "throw new Error('not this one')");
  await environment({ AWS_LAMBDA_NODEJS_ENTRYPOINT: "server.cjs" }).init();
  expect(await lab.request()).toMatchObject({ ok: true });
});

test("the server has a Web Function's variables, and not those of an Event Function", async () => {
  await environment({ STAGE: "test" }).init();
  const answer = await lab.request({ path: "/environment" });
  const seen = JSON.parse(answer.ok ? answer.body : "{}") as Readonly<Record<string, string>>;
  expect(seen).toMatchObject({
    STAGE: "test",
    AWS_LAMBDA_INITIALIZATION_TYPE: "native-http",
    AWS_LAMBDA_HTTP_ENDPOINT: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
    AWS_LAMBDA_METADATA_API: expect.any(String) as string,
    AWS_LAMBDA_METADATA_TOKEN: expect.any(String) as string,
    AWS_LAMBDA_RUNTIME_API: expect.any(String) as string,
  });
  for (const name of ["FUNCTION_NAME", "LOG_GROUP_NAME", "LOG_STREAM_NAME"]) {
    expect(seen).not.toHaveProperty(`AWS_LAMBDA_${name}`);
  }
});

test("a request beyond the concurrency is not taken", async () => {
  await environment({}, { concurrency: 2 }).init();
  const running = requests("/ms/300", 2);
  await sleep(50);
  expect(await lab.request()).toMatchObject({ ok: false, error: { errorType: "Web.TooManyRequests" } });
  expect((await running).every(({ ok }) => ok)).toBe(true);
});

test("a server that ends before it listens fails Init with the reason", async () => {
  writeFileSync(join(directory, "index.js"), "process.exit(3)");
  const error: unknown = await environment()
    .init()
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InitError);
  expect((error as InitError).message).toBe("Runtime.ExitError: Runtime exited with error: exit status 3");
});

test("a server that listens elsewhere fails Init after 10 s, and the reason names the variable", async () => {
  writeFileSync(join(directory, "index.js"), "require('node:http').createServer().listen(0, '127.0.0.1')");
  await expect(environment().init()).rejects.toThrow(
    /Init timed out after 10 seconds: nothing listens on .* AWS_LAMBDA_HTTP_ENDPOINT/,
  );
}, 20_000);

test("at the end the server gets SIGTERM without any extension, and requests in flight may end", async () => {
  const onGone = jest.fn();
  await environment({ ON_SIGTERM: "close" }, { onGone }).init();
  const running = requests("/ms/300", 3);
  await sleep(100);
  const result = await lab.shutdown();
  expect(result).toMatchObject({ endedBy: "itself", answered: 3, cutOff: 0 });
  expect(result.runtimeMs).toBeLessThan(1_000);
  expect((await running).every(({ ok }) => ok)).toBe(true);
  expect(await lab.request()).toMatchObject({ ok: false, error: { errorType: "Web.NotRouted" } });
  expect(onGone).toHaveBeenCalledWith("itself");
});

test.each(["leave", "unheard"])("answers are cut off if the server leaves at once (%s)", async (ON_SIGTERM) => {
  await environment({ ON_SIGTERM }).init();
  const running = Promise.all([requests("/ms/600", 2), requests("/slow", 1)]);
  await sleep(100);
  const { endedBy, unheard, answered, cutOff } = await lab.shutdown();
  expect({ endedBy, unheard, answered, cutOff }).toEqual({
    ...{ endedBy: "itself", unheard: ON_SIGTERM === "unheard" ? true : undefined, answered: 0, cutOff: 3 },
  });
  const errors = (await running).flat().map((answer) => (answer.ok ? "" : answer.error.errorType));
  expect(errors).toEqual([CUT_OFF, CUT_OFF, CUT_OFF]);
});

test("a server that stays is killed after 1 s", async () => {
  await environment({ ON_SIGTERM: "stay" }).init();
  const { endedBy, runtimeMs } = await lab.shutdown();
  expect(endedBy).toBe("SIGKILL at its deadline");
  expect(runtimeMs).toBeGreaterThanOrEqual(1_000);
  expect(lab.logs).toContain("heard");
});

test("a request that takes too long is given up, and the server goes on", async () => {
  await environment().init();
  const late = await lab.request({ path: "/ms/4000" });
  expect(late).toMatchObject({ ok: false, error: { errorType: "Sandbox.Timedout" } });
  expect(await lab.request()).toMatchObject({ ok: true });
});
