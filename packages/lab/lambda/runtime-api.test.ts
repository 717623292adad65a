import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { RuntimeApi, type Invocation } from "./runtime-api";
import { until } from "./test-handlers/until";

const INVOCATION: Invocation = {
  requestId: "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
  event: '{"to":"everybody"}',
  deadlineMs: 1_900_000_000_000,
  functionArn: "arn:aws:lambda:us-east-1:012345678901:function:a-function",
};
const NEXT = "/2018-06-01/runtime/invocation/next";
const RESPONSE = `/2018-06-01/runtime/invocation/${INVOCATION.requestId}/response`;
const ERROR = `/2018-06-01/runtime/invocation/${INVOCATION.requestId}/error`;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

let api: RuntimeApi;
let events: unknown[];

beforeEach(async () => {
  events = [];
  const metadata = { functionName: "a-function", functionVersion: "$LATEST", handler: "index.handler" };
  api = await RuntimeApi.start(metadata, [], {
    runtimeReady: () => events.push("ready"),
    initError: (error) => events.push({ initError: error }),
    invocationDone: (requestId, outcome) => events.push({ requestId, ...outcome }),
    extensionChanged: (event, name) => events.push(`${name} ${event}`),
  });
});
afterEach(() => api.close());

async function ask(
  method: string,
  path: string,
  body: string | Buffer = "",
  headers: Record<string, string> = {},
): Promise<Answer> {
  const url = `http://${api.address}${path}`;
  const response = await fetch(url, {
    method,
    headers,
    ...(method === "GET" ? {} : { body: new Uint8Array(Buffer.from(body)) }),
  });
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

/** Posts a streamed response, with trailers at its end; resolves with the status. */
async function stream(content: Readable, trailers: Record<string, string> = {}): Promise<number | undefined> {
  const headers = {
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    Trailer: Object.keys(trailers).join(", "),
  };
  const outgoing = request(`http://${api.address}${RESPONSE}`, { method: "POST", headers });
  outgoing.addTrailers(trailers);
  content.pipe(outgoing);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

/** A runtime that asks for an invocation; the answer comes with {@link RuntimeApi.invoke}. */
async function next(): Promise<{ readonly answered: Promise<Answer> }> {
  const answered = ask("GET", NEXT);
  answered.catch(() => undefined); // the server was closed
  await until(() => api.runtimeIsReady);
  return { answered };
}

async function invoked(invocation = INVOCATION): Promise<Answer> {
  const { answered } = await next();
  api.invoke(invocation);
  return answered;
}

function json({ body }: Answer): unknown {
  return JSON.parse(body.toString());
}

describe("next", () => {
  test("waits for an invocation, and has all that a runtime needs to know", async () => {
    const { answered } = await next();
    expect(events).toEqual(["ready"]);
    expect(await Promise.race([answered, sleep(50, "still waiting")])).toBe("still waiting");
    api.invoke(INVOCATION);
    const { status, headers, body } = await answered;
    expect(status).toBe(200);
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-type": "application/json",
      "content-length": "18",
      "lambda-runtime-aws-request-id": INVOCATION.requestId,
      "lambda-runtime-deadline-ms": "1900000000000",
      "lambda-runtime-invoked-function-arn": INVOCATION.functionArn,
      "lambda-runtime-trace-id": expect.stringMatching(/^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=0$/) as string,
    });
    expect(body.toString()).toBe(INVOCATION.event);
    expect(api.runtimeIsReady).toBe(false);
  });

  test("an event that is not ASCII arrives byte for byte", async () => {
    const event = JSON.stringify({ greeting: "Grüß Gott, 世界 👋🏽", "\u2028": "\u0000\u007f" });
    const { headers, body } = await invoked({ ...INVOCATION, event });
    expect(body.equals(Buffer.from(event, "utf8"))).toBe(true);
    expect(headers.get("content-length")).toBe(String(Buffer.byteLength(event)));
  });

  test("gives the same invocation again if asked before the answer", async () => {
    await invoked();
    const again = await ask("GET", NEXT);
    expect([again.headers.get("lambda-runtime-aws-request-id"), again.body.toString()]).toEqual([
      INVOCATION.requestId,
      INVOCATION.event,
    ]);
    expect(await ask("POST", RESPONSE, "1")).toHaveProperty("status", 202);
  });

  test("of two that wait, the first gets the invocation, and the second does not count as ready for the next", async () => {
    const { answered } = await next();
    const second = ask("GET", NEXT);
    second.catch(() => undefined); // the server was closed
    await sleep(50);
    expect(events).toEqual(["ready"]);
    api.invoke(INVOCATION);
    expect(await answered).toHaveProperty("status", 200);
    await ask("POST", RESPONSE, "1");
    expect(await Promise.race([second, sleep(50, "still waiting")])).toBe("still waiting");
    expect(api.runtimeIsReady).toBe(false);
  });

  test("a runtime that has not asked gets no invocation", () => {
    expect(() => {
      api.invoke(INVOCATION);
    }).toThrow("the runtime does not wait for an invocation");
  });

  test("from the first one on, no extension can register", async () => {
    const register = (name: string): Promise<Answer> =>
      ask("POST", "/2020-01-01/extension/register", '{"events":[]}', { "Lambda-Extension-Name": name });
    expect(await register("early")).toHaveProperty("status", 200);
    await next();
    const late = await register("late");
    expect([late.status, json(late)]).toMatchObject([403, { errorType: "Extension.RegistrationClosed" }]);
  });
});

describe("response and error", () => {
  test("a response is passed on unchanged", async () => {
    await invoked();
    const answer = await ask("POST", RESPONSE, '{"grüße":"👋"}');
    expect([answer.status, json(answer)]).toEqual([202, { status: "OK" }]);
    expect(events).toEqual(["ready", { requestId: INVOCATION.requestId, response: '{"grüße":"👋"}' }]);
  });

  test("an error is passed on with its type, message and stack", async () => {
    await invoked();
    const error = { errorType: "RangeError", errorMessage: "too far", stackTrace: ["at the end"] };
    const headers = { "Lambda-Runtime-Function-Error-Type": "Unhandled" };
    expect(await ask("POST", ERROR, JSON.stringify(error), headers)).toHaveProperty("status", 202);
    expect(events[1]).toEqual({ requestId: INVOCATION.requestId, error });
  });

  test("an error whose header for X-Ray has 1 MB arrives", async () => {
    await invoked();
    const headers = { "Lambda-Runtime-Function-XRay-Error-Cause": "x".repeat(1024 * 1024) };
    const error = { errorType: "Error", errorMessage: "long" };
    expect((await ask("POST", ERROR, JSON.stringify(error), headers)).status).toBe(202);
    expect(events).toContainEqual({ requestId: INVOCATION.requestId, error });
  });

  test.each(["broken", '"broken"', '["broken"]'])(
    "an error whose body is no object has the type of its header (%s)",
    async (body) => {
      await invoked();
      await ask("POST", ERROR, body, { "Lambda-Runtime-Function-Error-Type": "Runtime.Broken" });
      const error = { errorType: "Runtime.Broken", errorMessage: body };
      expect(events[1]).toEqual({ requestId: INVOCATION.requestId, error });
    },
  );

  test.each([
    ["Function.Broken", "Function.Broken"],
    ["Function.broken", "Function.Unknown"],
    ["RangeError", "Runtime.Unknown"],
    ["", "Runtime.Unknown"],
  ])("the header's type %j, which is not one of Lambda's kind, becomes %s", async (header, errorType) => {
    await invoked();
    await ask("POST", ERROR, "{}", { "Lambda-Runtime-Function-Error-Type": header });
    expect(events[1]).toEqual({ requestId: INVOCATION.requestId, error: { errorType, errorMessage: "" } });
  });

  test.each(["response", "error"])(
    "a %s to another invocation is refused, and the right one is taken",
    async (kind) => {
      await invoked();
      const wrong = await ask("POST", `/2018-06-01/runtime/invocation/another/${kind}`, "1");
      expect([wrong.status, json(wrong)]).toEqual([
        400,
        { errorType: "InvalidRequestID", errorMessage: "Invalid request ID" },
      ]);
      expect(events).toEqual(["ready"]);
      expect(await ask("POST", RESPONSE, "1")).toHaveProperty("status", 202);
    },
  );

  test("before any invocation every request id is wrong", async () => {
    expect(await ask("POST", RESPONSE, "1")).toHaveProperty("status", 400);
  });

  test.each([RESPONSE, ERROR])("a second answer is an invalid transition (%s)", async (second) => {
    await invoked();
    await ask("POST", RESPONSE, "1");
    const answer = await ask("POST", second, "2");
    const to = second === ERROR ? "InvocationErrorResponse" : "InvocationResponse";
    const errorMessage = `State transition from RuntimeResponseSentState to ${to} failed for runtime. Error: State transition is not allowed`;
    expect([answer.status, json(answer)]).toEqual([403, { errorType: "InvalidStateTransition", errorMessage }]);
    expect(events).toHaveLength(2);
    await next();
    expect(await ask("POST", RESPONSE, "3")).toHaveProperty("status", 400);
  });

  test("6 MB and 100 bytes are the most; one more is 413 and fails the invocation", async () => {
    const most = 6 * 1024 * 1024 + 100;
    await invoked();
    expect(await ask("POST", RESPONSE, Buffer.alloc(most, "1"))).toHaveProperty("status", 202);

    await invoked();
    const refused = await ask("POST", RESPONSE, Buffer.alloc(most + 1, "1"));
    const limit = `maximum allowed payload size (${most} bytes).`;
    const toTheRuntime = { errorType: "RequestEntityTooLarge", errorMessage: `Exceeded ${limit}` };
    expect([refused.status, json(refused)]).toEqual([413, toTheRuntime]);
    const errorMessage = `Response payload size (${most + 1} bytes) exceeded ${limit}`;
    const error = { errorType: "Function.ResponseSizeTooLarge", errorMessage };
    expect(events.at(-1)).toEqual({ requestId: INVOCATION.requestId, error });
    await invoked(); // the runtime goes on
  });
});

describe("the response mode", () => {
  const mode = (value: string): Record<string, string> => ({ "Lambda-Runtime-Function-Response-Mode": value });

  test("streaming may have 200 MB: one byte more is 413 and fails the invocation", async () => {
    const most = 200 * 1024 * 1024;
    const part = Buffer.alloc(1024 * 1024, "1");
    const parts = (count: number, more = ""): Readable =>
      Readable.from([...Array.from({ length: count }, () => part), Buffer.from(more)]);
    await invoked();
    expect(await stream(parts(200))).toBe(202);
    const [{ response }] = events.slice(1) as [{ response: string }];
    expect(response).toHaveLength(most);
    await invoked();
    expect(await stream(parts(200, "1"))).toBe(413);
    expect(events.at(-1)).toMatchObject({ error: { errorType: "Function.ResponseSizeTooLarge" } });
  }, 30_000);

  test("an error in the middle of a stream comes in trailers, and fails the invocation", async () => {
    await invoked();
    const error = { errorType: "RangeError", errorMessage: "too far" };
    const body = Buffer.from(JSON.stringify(error)).toString("base64");
    await stream(Readable.from(["in part"]), {
      "Lambda-Runtime-Function-Error-Type": "RangeError",
      "Lambda-Runtime-Function-Error-Body": body,
    });
    expect(events[1]).toEqual({ requestId: INVOCATION.requestId, error });
  });

  test("streaming is accepted and collected", async () => {
    await invoked();
    expect(await ask("POST", RESPONSE, "in parts", mode("streaming"))).toHaveProperty("status", 202);
    expect(events[1]).toEqual({ requestId: INVOCATION.requestId, response: "in parts" });
  });

  test("any other is 400, fails the invocation and leaves the runtime unable to go on", async () => {
    await invoked();
    const refused = await ask("POST", RESPONSE, "1", mode("buffered"));
    const toTheRuntime = { errorType: "InvalidFunctionResponseMode", errorMessage: "Invalid function response mode" };
    expect([refused.status, json(refused)]).toEqual([400, toTheRuntime]);
    const error = { errorType: "Runtime.InvalidResponseModeHeader", errorMessage: "" };
    expect(events[1]).toEqual({ requestId: INVOCATION.requestId, error });
    const late = await ask("GET", NEXT);
    expect([late.status, json(late)]).toMatchObject([403, { errorType: "InvalidStateTransition" }]);
  });
});

describe("the metadata endpoint", () => {
  const PATH = "/2026-01-15/metadata/execution-environment";

  test("answers who has the token with the availability zone", async () => {
    const { AWS_LAMBDA_METADATA_API, AWS_LAMBDA_METADATA_TOKEN } = api.variables;
    const url = `http://${AWS_LAMBDA_METADATA_API ?? ""}${PATH}`;
    const headers = { Authorization: `Bearer ${AWS_LAMBDA_METADATA_TOKEN ?? ""}` };
    const response = await fetch(url, { headers });
    expect([response.status, await response.json()]).toEqual([200, { AvailabilityZoneID: "use1-az1" }]);
    expect(response.headers.get("cache-control")).toBe("private, max-age=43200, immutable");
  });

  test("refuses others with 401, and another method with 405", async () => {
    expect(await ask("GET", PATH)).toHaveProperty("status", 401);
    expect(await ask("GET", PATH, "", { Authorization: "Bearer wrong" })).toHaveProperty("status", 401);
    expect(await ask("POST", PATH)).toHaveProperty("status", 405);
  });
});

describe("init/error", () => {
  const ERROR_BODY = { errorType: "Runtime.ImportModuleError", errorMessage: "no such module" };

  test("is passed on, and ends the Init for good", async () => {
    const answer = await ask("POST", "/2018-06-01/runtime/init/error", JSON.stringify(ERROR_BODY));
    expect([answer.status, json(answer)]).toEqual([202, { status: "OK" }]);
    expect(events).toEqual([{ initError: ERROR_BODY }]);
    for (const [method, path] of [
      ["GET", NEXT],
      ["POST", "/2018-06-01/runtime/init/error"],
    ] as const) {
      const late = await ask(method, path, "{}");
      expect([late.status, json(late)]).toMatchObject([403, { errorType: "InvalidStateTransition" }]);
    }
    expect(events).toHaveLength(1);
  });

  test("is refused once the runtime has asked for an invocation", async () => {
    await next();
    const answer = await ask("POST", "/2018-06-01/runtime/init/error", JSON.stringify(ERROR_BODY));
    expect([answer.status, json(answer)]).toMatchObject([403, { errorType: "InvalidStateTransition" }]);
    expect(events).toEqual(["ready"]);
  });
});

test.each([
  ["GET", "/"],
  ["GET", "/2018-06-01/runtime/invocation/last"],
  ["GET", "/2015-03-31/functions"],
  ["PUT", "/2021-04-23/credentials"],
])("%s %s is 404", async (method, path) => {
  expect(await ask(method, path)).toHaveProperty("status", 404);
});

test.each([
  ["POST", NEXT],
  ["GET", RESPONSE],
  ["PUT", ERROR],
  ["GET", "/2018-06-01/runtime/init/error"],
  ["POST", "/2022-07-01/telemetry"],
])("%s %s is 405", async (method, path) => {
  expect(await ask(method, path)).toHaveProperty("status", 405);
});

test("a subscription to the Logs API is accepted, with a notice that no logs come", async () => {
  const answer = await ask("PUT", "/2020-08-15/logs", "{}");
  expect([answer.status, json(answer)]).toEqual([
    202,
    { errorType: "Logs.NotSupported", errorMessage: "Logs API is not supported" },
  ]);
});
