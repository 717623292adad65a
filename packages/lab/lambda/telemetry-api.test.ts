import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { RuntimeApi } from "./runtime-api";
import { until } from "./test-handlers/until";
import type { TelemetryEvent } from "./telemetry-subscriber";

const UNKNOWN = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
const TYPES = ["platform", "function", "extension"];
const TELEMETRY = "/2022-07-01/telemetry";

let api: RuntimeApi;
let closers: (() => void)[];

beforeEach(async () => {
  closers = [];
  const metadata = { functionName: "a-function", functionVersion: "$LATEST", handler: "index.handler" };
  const nothing = (): void => undefined;
  const events = { runtimeReady: nothing, initError: nothing, invocationDone: nothing, extensionChanged: nothing };
  api = await RuntimeApi.start(metadata, ["outside", "outside-too"], events);
});
afterEach(async () => {
  for (const close of closers) close();
  await api.close();
});

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function register(name = "outside"): Promise<string> {
  const response = await fetch(`http://${api.address}/2020-01-01/extension/register`, {
    method: "POST",
    headers: { "Lambda-Extension-Name": name },
    body: '{"events":[]}',
  });
  return response.headers.get("lambda-extension-identifier") ?? "";
}

async function put(id: string | undefined, body: unknown, path = TELEMETRY): Promise<Answer> {
  const response = await fetch(`http://${api.address}${path}`, {
    method: "PUT",
    headers: id === undefined ? {} : { "Lambda-Extension-Identifier": id },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

interface Subscriber {
  readonly port: number;
  readonly paths: (string | undefined)[];
  /** Each batch, as it came. */
  readonly batches: TelemetryEvent[][];
}

/** @param status what it answers */
async function subscriber(status = 200): Promise<Subscriber> {
  const batches: TelemetryEvent[][] = [];
  const paths: (string | undefined)[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      paths.push(request.url);
      batches.push(JSON.parse(Buffer.concat(chunks).toString()) as TelemetryEvent[]);
      response.writeHead(status).end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, paths, batches };
}

function subscription(port: number, more: object = {}): object {
  return {
    schemaVersion: "2022-12-13",
    types: TYPES,
    destination: { protocol: "HTTP", URI: `http://sandbox.localdomain:${port}/path` },
    buffering: { timeoutMs: 25 },
    ...more,
  };
}

function typesOf(events: readonly TelemetryEvent[]): string[] {
  return events.map(({ type }) => type);
}

describe("a subscription", () => {
  test.each(["2022-07-01", "2022-12-13", "2025-01-29"])(
    "with schema %s is OK, and announced",
    async (schemaVersion) => {
      const { port, paths, batches } = await subscriber();
      expect(await put(await register(), subscription(port, { schemaVersion }))).toEqual({ status: 200, body: "OK" });
      await until(() => batches.length > 0);
      const record = { name: "outside", state: "Subscribed", types: TYPES };
      expect(batches).toEqual([
        [{ time: expect.stringMatching(/^\d{4}-.*Z$/) as string, type: "platform.telemetrySubscription", record }],
      ]);
      expect(paths).toEqual(["/path"]);
    },
  );

  test("is also taken with the slash at its end, which the documentation has", async () => {
    const { port } = await subscriber();
    expect(await put(await register(), subscription(port), `${TELEMETRY}/`)).toEqual({ status: 200, body: "OK" });
  });

  test.each([
    [undefined, "Extension.MissingExtensionIdentifier"],
    ["7", "Extension.InvalidExtensionIdentifier"],
    [UNKNOWN, "Extension.UnknownExtensionIdentifier"],
  ])("of %j is refused", async (id, errorType) => {
    expect(await put(id, "{}")).toMatchObject({ status: 403, body: { errorType } });
  });

  test.each([
    ["the body is not JSON", "{"],
    ["the body is not a JSON object", "[]"],
    ["schemaVersion should be 2022-07-01, 2022-12-13, 2025-01-29", subscription(1, { schemaVersion: "2021-01-01" })],
    ["types should not be empty", subscription(1, { types: [] })],
    ["types should be of platform, function, extension", subscription(1, { types: ["platform", "logs"] })],
    ["protocol should be HTTP or TCP", subscription(1, { destination: { protocol: "UDP", port: 1 } })],
    ["port is not provided", subscription(1, { destination: { protocol: "TCP" } })],
    [
      "URI host should be sandbox.localdomain",
      subscription(1, { destination: { protocol: "HTTP", URI: "http://aws:1" } }),
    ],
    [
      "types should not be empty; URI port is not provided",
      subscription(1, { types: [], destination: { protocol: "HTTP", URI: "http://sandbox.localdomain" } }),
    ],
    ["maxItems should be from 1000 to 10000", subscription(1, { buffering: { maxItems: 999 } })],
    ["maxBytes should be from 262144 to 1048576", subscription(1, { buffering: { maxBytes: 2_000_000 } })],
    ["timeoutMs should be from 25 to 30000", subscription(1, { buffering: { timeoutMs: 24.5 } })],
  ])("is refused: %s", async (errorMessage, body) => {
    expect(await put(await register(), body)).toEqual({
      status: 400,
      body: { errorType: "ValidationError", errorMessage },
    });
  });

  test("is refused when Init is over", async () => {
    const { port } = await subscriber();
    api.telemetry.closeSubscription();
    expect(await put(await register(), subscription(port))).toMatchObject({
      status: 403,
      body: { errorType: "Telemetry.SubscriptionClosed" },
    });
  });

  test("is refused a second time, and a TCP destination that does not listen", async () => {
    const { port } = await subscriber();
    const id = await register();
    expect(await put(id, subscription(port))).toHaveProperty("status", 200);
    expect(await put(id, subscription(port))).toHaveProperty("status", 500);
    const nobody = { destination: { protocol: "TCP", port: 1 } };
    expect(await put(await register("outside-too"), subscription(1, nobody))).toMatchObject({
      status: 400,
      body: { errorType: "ValidationError", errorMessage: expect.stringContaining("Invalid destination") as string },
    });
  });
});

describe("a subscriber", () => {
  test("gets the types that it asked for, and what happened before it subscribed", async () => {
    const { port, batches } = await subscriber();
    api.telemetry.emit("platform.initStart", {});
    api.telemetry.emit("extension", "not asked for");
    await put(await register(), subscription(port, { types: ["platform", "function"] }));
    api.telemetry.emit("function", "a line");
    api.telemetry.emit("extension", "not asked for");
    await until(() => batches.length > 0);
    expect(batches.map(typesOf)).toEqual([["platform.initStart", "platform.telemetrySubscription", "function"]]);
    expect(batches[0]?.at(-1)).toHaveProperty("record", "a line");
  });

  test("gets a batch at once when it is full, the rest when its time is over", async () => {
    const { port, batches } = await subscriber();
    await put(await register(), subscription(port, { types: ["function"], buffering: { maxItems: 1_000 } }));
    for (let line = 0; line < 1_001; line++) api.telemetry.emit("function", line);
    await until(() => batches.length > 0);
    expect(batches.map(({ length }) => length)).toEqual([1_000]);
    await api.telemetry.flush();
    expect(batches.map(({ length }) => length)).toEqual([1_000, 1]);
    api.telemetry.emit("function", "x".repeat(262_144));
    await until(() => batches.length > 2);
  });

  test("of a frozen environment gets its events after the thaw", async () => {
    const { port, batches } = await subscriber();
    await put(await register(), subscription(port, { types: ["function"] }));
    api.telemetry.pause();
    api.telemetry.emit("function", "a line");
    await sleep(100);
    expect(batches).toEqual([]);
    api.telemetry.resume();
    await until(() => batches.length > 0);
    expect(batches.map(typesOf)).toEqual([["function"]]);
  });

  test("on TCP gets a line an event", async () => {
    let text = "";
    const server = createTcpServer((socket) => socket.on("data", (chunk) => (text += chunk.toString())));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    await put(await register(), subscription(port, { destination: { protocol: "TCP", port }, types: ["function"] }));
    api.telemetry.emit("function", "one");
    api.telemetry.emit("function", "two");
    await until(() => text.endsWith("\n"));
    const records = text
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as TelemetryEvent).record);
    expect(records).toEqual(["one", "two"]);
  });

  test("that fails loses the batch, and the others are told of it", async () => {
    const [failing, other] = [await subscriber(500), await subscriber()];
    await put(await register("outside-too"), subscription(other.port));
    await put(await register(), subscription(failing.port, { types: ["function"] }));
    api.telemetry.emit("function", "lost");
    const told = (): unknown => other.batches.flat().find(({ type }) => type === "platform.logsDropped")?.record;
    await until(() => told() !== undefined);
    const droppedBytes = Buffer.byteLength(JSON.stringify(failing.batches[0]?.[0]));
    const reason = "could not send events: the subscriber answered 500";
    expect(told()).toEqual({ droppedBytes, droppedRecords: 1, reason });
  });
});
