import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ExtensionsApi } from "./extensions-api";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UNKNOWN = "00000000-0000-4000-8000-000000000000";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

let api: ExtensionsApi;
let server: Server;
let changes: string[];

beforeEach(async () => {
  changes = [];
  const metadata = { functionName: "a-function", functionVersion: "$LATEST", handler: "index.handler" };
  api = new ExtensionsApi(metadata, ["outside", "outside-too"], (event, name) => changes.push(`${name} ${event}`));
  server = createServer((request, response) => void api.handle(request, response, request.url ?? "/"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function ask(method: string, path: string, headers: Record<string, string> = {}, body = ""): Promise<Answer> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const response = await fetch(url, { method, headers, ...(method === "GET" ? {} : { body }) });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

function register(name: string, events: readonly string[] = []): Promise<Answer> {
  return ask("POST", "/register", { "Lambda-Extension-Name": name }, JSON.stringify({ events }));
}

async function registered(name: string, events: readonly string[] = []): Promise<string> {
  const { headers } = await register(name, events);
  return headers.get("lambda-extension-identifier") ?? "";
}

/** Asks for the next event; `answer` stays undefined while the request waits. */
async function next(id: string): Promise<{ answer?: Answer; readonly answered: Promise<Answer> }> {
  const name = changes.length;
  const answered = ask("GET", "/event/next", { "Lambda-Extension-Identifier": id });
  const pending: { answer?: Answer; readonly answered: Promise<Answer> } = { answered };
  answered.then(
    (answer) => (pending.answer = answer),
    () => undefined, // the server was closed
  );
  while (pending.answer === undefined && changes.length === name) await sleep(1);
  return pending;
}

function refusal(status: number, errorType: string, errorMessage: unknown = expect.any(String)): unknown {
  return expect.objectContaining({ status, body: { errorType, errorMessage } });
}

describe("register", () => {
  test("answers with an identifier and the function's name, version and handler", async () => {
    const { status, headers, body } = await register("outside", ["INVOKE", "SHUTDOWN"]);
    expect(status).toBe(200);
    expect(headers.get("lambda-extension-identifier")).toMatch(UUID);
    expect(body).toEqual({ functionName: "a-function", functionVersion: "$LATEST", handler: "index.handler" });
    expect(changes).toEqual(["outside registered"]);
  });

  test("a program of /opt/extensions is external, any other name internal", async () => {
    await register("outside");
    expect(api.allExternalsRegistered).toBe(false);
    await register("inside", ["INVOKE"]);
    await register("outside-too");
    expect([api.count("external"), api.count("internal"), api.allExternalsRegistered]).toEqual([2, 1, true]);
  });

  test("subscriptions", async () => {
    await register("outside", ["SHUTDOWN"]);
    const subscriptions = [
      api.isSubscribed("outside", "SHUTDOWN"),
      api.isSubscribed("outside", "INVOKE"),
      api.isSubscribed("outside-too", "SHUTDOWN"),
    ];
    expect(subscriptions).toEqual([true, false, false]);
  });

  test.each(["{}", '{"events":null}', "null"])("the body %s subscribes to nothing", async (body) => {
    expect(await ask("POST", "/register", { "Lambda-Extension-Name": "outside" }, body)).toMatchObject({ status: 200 });
    expect(api.isSubscribed("outside", "INVOKE") || api.isSubscribed("outside", "SHUTDOWN")).toBe(false);
  });

  test("an extension that asks for the account gets it", async () => {
    const headers = { "Lambda-Extension-Name": "outside", "Lambda-Extension-Accept-Feature": "another, accountId" };
    const { body } = await ask("POST", "/register", headers, '{"events":[]}');
    expect(body).toMatchObject({ accountId: expect.stringMatching(/^\d{12}$/) as string, functionName: "a-function" });
  });

  describe("is refused", () => {
    test("without a name", async () => {
      const wanted = refusal(403, "Extension.InvalidExtensionName", "Empty extension name");
      expect(await ask("POST", "/register", {}, '{"events":[]}')).toEqual(wanted);
      expect(await register("")).toEqual(wanted);
    });

    test.each([
      "",
      "no JSON",
      "[]",
      '{"events":"INVOKE"}',
      '{"events":["INVOKE",7]}',
      '{"configurationKeys":["COLOUR"]}',
    ])("with the body %j", async (body) => {
      const answer = await ask("POST", "/register", { "Lambda-Extension-Name": "inside" }, body);
      expect(answer).toEqual(refusal(403, "InvalidRequestFormat"));
    });

    test.each([
      ["outside", ["INVOKE", "THAW"], "THAW: ErrorInvalidEventType"],
      ["inside", ["THAW"], "THAW: ErrorInvalidEventType"],
      ["inside", ["SHUTDOWN"], "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"],
    ])("for an event that %s cannot have: %j", async (name, events, why) => {
      expect(await register(name, events)).toEqual(refusal(403, "Extension.InvalidEventType", why));
      expect(api.count("internal")).toBe(0);
    });

    test("once the runtime has asked for an invocation", async () => {
      api.closeRegistration();
      const wanted = refusal(403, "Extension.RegistrationClosed", "Extension registration closed already");
      expect(await register("inside")).toEqual(wanted);
    });

    test("a second time, to an external extension, whether registration is closed or not", async () => {
      await register("outside");
      const why =
        "State transition from Registered to Registered failed for extension outside. Error: State transition is not allowed";
      expect(await register("outside")).toEqual(refusal(403, "Extension.InvalidExtensionState", why));
      api.closeRegistration();
      expect(await register("outside")).toEqual(refusal(403, "Extension.InvalidExtensionState", why));
    });

    test("under a name that is taken, to an internal extension", async () => {
      await register("inside");
      const wanted = refusal(403, "Extension.InvalidExtensionState", "Extension with this name already registered");
      expect(await register("inside")).toEqual(wanted);
    });

    test("as the eleventh, the external ones counted before they have registered", async () => {
      for (let number = 3; number <= 10; number++)
        expect(await register(`inside-${number}`)).toHaveProperty("status", 200);
      const wanted = refusal(403, "Extension.TooManyExtensions", "Extension limit (10) reached");
      expect(await register("one-too-many")).toEqual(wanted);
      expect(await register("inside-3")).toEqual(wanted);
      expect(await register("outside")).toHaveProperty("status", 200);
    });

    test("an event comes before a closed registration, and a closed registration before a taken name", async () => {
      await register("inside");
      api.closeRegistration();
      expect(await register("inside", ["THAW"])).toEqual(refusal(403, "Extension.InvalidEventType"));
      expect(await register("inside")).toEqual(refusal(403, "Extension.RegistrationClosed"));
    });
  });
});

describe.each([
  ["GET", "/event/next"],
  ["POST", "/init/error"],
  ["POST", "/exit/error"],
])("%s %s is refused", (method, path) => {
  test.each([
    ["without an identifier", {}, "Extension.MissingExtensionIdentifier"],
    ["with one that is no UUID", { "Lambda-Extension-Identifier": "7" }, "Extension.InvalidExtensionIdentifier"],
    ["with an unknown one", { "Lambda-Extension-Identifier": UNKNOWN }, "Extension.UnknownExtensionIdentifier"],
  ])("%s", async (_, headers: Record<string, string>, errorType) => {
    const error: Record<string, string> =
      method === "POST" ? { "Lambda-Extension-Function-Error-Type": "Extension.Broken" } : {};
    expect(await ask(method, path, { ...headers, ...error })).toEqual(refusal(403, errorType));
  });
});

describe.each(["init", "exit"])("%s/error", (phase) => {
  test("the type of the error is checked before the identifier", async () => {
    const unknown = { "Lambda-Extension-Identifier": UNKNOWN };
    expect(await ask("POST", `/${phase}/error`, unknown)).toEqual(refusal(403, "Extension.MissingHeader"));
    const nobody = await ask("POST", `/${phase}/error`);
    expect(nobody).toEqual(refusal(403, "Extension.MissingExtensionIdentifier"));
  });

  test("may be repeated, and the extension gets no further events", async () => {
    const id = await registered("outside");
    const headers = { "Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Broken" };
    for (let time = 1; time <= 2; time++)
      expect(await ask("POST", `/${phase}/error`, headers)).toMatchObject({ status: 202 });
    expect(changes).toEqual(["outside registered", `outside ${phase} error`]);
    const from = phase === "init" ? "InitError" : "ExitError";
    const why = `State transition from ${from} to Ready failed for extension ${id}. Error: State transition is not allowed`;
    expect(await ask("GET", "/event/next", headers)).toEqual(refusal(403, "Extension.InvalidExtensionState", why));
    expect(api.allReady).toBe(false);
    const other = phase === "init" ? "exit" : "init";
    expect(await ask("POST", `/${other}/error`, headers)).toEqual(refusal(403, "Extension.InvalidExtensionState"));
  });

  test.each<Record<string, string>>([{}, { "Lambda-Extension-Function-Error-Type": "" }])(
    "is refused with the header %j",
    async (header) => {
      const headers: Record<string, string> = { "Lambda-Extension-Identifier": await registered("outside"), ...header };
      const wanted = refusal(403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
      expect(await ask("POST", `/${phase}/error`, headers)).toEqual(wanted);
      expect(changes).toEqual(["outside registered"]);
    },
  );
});

test("init/error is refused once Init is over, exit/error is not", async () => {
  const id = await registered("outside");
  await next(id);
  const headers = { "Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Broken" };
  expect(await ask("POST", "/init/error", headers)).toEqual(refusal(403, "Extension.InvalidExtensionState"));
  expect(await ask("POST", "/exit/error", headers)).toMatchObject({ status: 202 });
});

test("an unknown path is 404, a known one with another method 405, before any other check", async () => {
  expect(await ask("GET", "/event/previous")).toMatchObject({ status: 404 });
  for (const [method, path] of [
    ["POST", "/event/next"],
    ["GET", "/register"],
    ["GET", "/exit/error"],
  ] as const)
    expect(await ask(method, path)).toMatchObject({ status: 405 });
});

describe("event/next", () => {
  test("waits, and gets the event of its subscription", async () => {
    const outside = await next(await registered("outside", ["INVOKE", "SHUTDOWN"]));
    const inside = await next(await registered("inside", ["INVOKE"]));
    expect(api.allReady).toBe(true);
    expect([outside.answer, inside.answer]).toEqual([undefined, undefined]);

    api.send("INVOKE", { requestId: "1", deadlineMs: 2 });
    for (const { status, headers, body } of await Promise.all([outside.answered, inside.answered])) {
      expect(status).toBe(200);
      expect(headers.get("lambda-extension-event-identifier")).toMatch(UUID);
      expect(body).toEqual({ eventType: "INVOKE", requestId: "1", deadlineMs: 2 });
    }
    expect(api.allReady).toBe(false);
  });

  test("SHUTDOWN reaches the extensions that asked for it and no other", async () => {
    const asked = await next(await registered("outside", ["SHUTDOWN"]));
    const others = [
      await next(await registered("outside-too", ["INVOKE"])),
      await next(await registered("inside", ["INVOKE"])),
    ];
    api.send("SHUTDOWN", { shutdownReason: "spindown" });
    expect((await asked.answered).body).toEqual({ eventType: "SHUTDOWN", shutdownReason: "spindown" });
    await sleep(50);
    expect(others.map(({ answer }) => answer)).toEqual([undefined, undefined]);
  });

  test("an extension without subscriptions waits for ever, and is ready", async () => {
    const { answered } = await next(await registered("inside", []));
    api.send("INVOKE", {});
    api.send("SHUTDOWN", {});
    expect(await Promise.race([answered, sleep(50, "still waiting")])).toBe("still waiting");
    expect(api.allReady).toBe(true);
  });

  test("an event waits while the extension is busy, and only the last event does", async () => {
    const id = await registered("outside", ["INVOKE", "SHUTDOWN"]);
    api.send("INVOKE", { requestId: "1" });
    api.send("SHUTDOWN", { shutdownReason: "timeout" });
    expect((await (await next(id)).answered).body).toEqual({ eventType: "SHUTDOWN", shutdownReason: "timeout" });
    expect(api.allReady).toBe(false);
    expect((await next(id)).answer).toBeUndefined();
    expect(api.allReady).toBe(true);
  });

  test("a second one while the first waits is refused, and the first is answered", async () => {
    const id = await registered("outside", ["INVOKE"]);
    const first = await next(id);
    expect((await next(id)).answer).toEqual(refusal(403, "Extension.InvalidExtensionState"));
    api.send("INVOKE", { requestId: "1" });
    expect((await first.answered).body).toEqual({ eventType: "INVOKE", requestId: "1" });
  });

  test("an extension that has not asked for an event is not ready", async () => {
    expect(api.allReady).toBe(true);
    await register("inside");
    expect(api.allReady).toBe(false);
  });
});
