import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ExtensionsApi } from "../../lab/extensions-api";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const STRANGER = "00000000-0000-4000-8000-000000000000";

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
  test("answers with an identifier and with what the function is", async () => {
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

  test("who is subscribed to what", async () => {
    await register("outside", ["SHUTDOWN"]);
    const subscriptions = [
      api.isSubscribed("outside", "SHUTDOWN"),
      api.isSubscribed("outside", "INVOKE"),
      api.isSubscribed("outside-too", "SHUTDOWN"),
    ];
    expect(subscriptions).toEqual([true, false, false]);
  });

  test("a body without a list subscribes to nothing", async () => {
    expect(await ask("POST", "/register", { "Lambda-Extension-Name": "outside" }, "{}")).toMatchObject({ status: 200 });
  });

  describe("is refused", () => {
    test("without a name", async () => {
      const wanted = refusal(403, "Extension.InvalidExtensionName", "Empty extension name");
      expect(await ask("POST", "/register", {}, '{"events":[]}')).toEqual(wanted);
      expect(await register("")).toEqual(wanted);
    });

    test.each(["", "no JSON", '{"events":"INVOKE"}'])("with the body %j", async (body) => {
      const answer = await ask("POST", "/register", { "Lambda-Extension-Name": "inside" }, body);
      expect(answer).toEqual(refusal(403, "InvalidRequestFormat"));
    });

    test("for an event that there is not", async () => {
      const wanted = refusal(403, "Extension.InvalidEventType", "THAW: ErrorInvalidEventType");
      expect(await register("outside", ["INVOKE", "THAW"])).toEqual(wanted);
      expect(await register("inside", ["THAW"])).toEqual(wanted);
    });

    test("for SHUTDOWN, to an internal extension", async () => {
      const why = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension";
      expect(await register("inside", ["SHUTDOWN"])).toEqual(refusal(403, "Extension.InvalidEventType", why));
      expect(api.count("internal")).toBe(0);
    });

    test("once the runtime has asked for an invocation", async () => {
      api.closeRegistration();
      const wanted = refusal(403, "Extension.RegistrationClosed", "Extension registration closed already");
      expect(await register("inside")).toEqual(wanted);
    });

    test.each(["outside", "inside"])("under a name that is taken (%s)", async (name) => {
      await register(name);
      const wanted = refusal(403, "Extension.InvalidExtensionState", "Extension with this name already registered");
      expect(await register(name)).toEqual(wanted);
    });

    test("as the eleventh, internal and external together", async () => {
      await register("outside");
      for (let number = 2; number <= 10; number++)
        expect(await register(`inside-${number}`)).toHaveProperty("status", 200);
      const wanted = refusal(403, "Extension.TooManyExtensions", "Extension limit (10) reached");
      expect(await register("one-too-many")).toEqual(wanted);
      expect(await register("inside-2")).toEqual(wanted);
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
    ["with a stranger's", { "Lambda-Extension-Identifier": STRANGER }, "Extension.UnknownExtensionIdentifier"],
  ])("%s", async (_, headers: Record<string, string>, errorType) => {
    expect(await ask(method, path, headers)).toEqual(refusal(403, errorType));
  });
});

describe.each(["init", "exit"])("%s/error", (phase) => {
  test("is accepted with the type of the error in its header", async () => {
    const id = await registered("outside");
    const headers = { "Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Broken" };
    expect(await ask("POST", `/${phase}/error`, headers)).toMatchObject({ status: 202, body: { status: "OK" } });
    expect(changes).toContain(`outside ${phase} error`);
  });

  test.each([{}, { "Lambda-Extension-Function-Error-Type": "" }])("is refused with the header %j", async (header) => {
    const headers = { "Lambda-Extension-Identifier": await registered("outside"), ...header };
    const wanted = refusal(403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
    expect(await ask("POST", `/${phase}/error`, headers)).toEqual(wanted);
    expect(changes).toEqual(["outside registered"]);
  });
});

test("init/error is refused once Init is over, exit/error is not", async () => {
  const id = await registered("outside");
  await next(id);
  const headers = { "Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Broken" };
  expect(await ask("POST", "/init/error", headers)).toEqual(refusal(403, "Extension.InvalidExtensionState"));
  expect(await ask("POST", "/exit/error", headers)).toMatchObject({ status: 202 });
});

test("an unknown path is 404", async () => {
  const headers = { "Lambda-Extension-Identifier": await registered("outside") };
  expect(await ask("GET", "/event/previous", headers)).toMatchObject({ status: 404 });
});

describe("event/next", () => {
  test("waits, and is answered with the event that was subscribed to", async () => {
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

  test("SHUTDOWN reaches those who asked for it and nobody else", async () => {
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

  test("one that subscribed to nothing waits for ever, and is ready", async () => {
    const { answered } = await next(await registered("inside", []));
    api.send("INVOKE", {});
    api.send("SHUTDOWN", {});
    expect(await Promise.race([answered, sleep(50, "still waiting")])).toBe("still waiting");
    expect(api.allReady).toBe(true);
  });

  test("events that come while the extension is busy wait for it, in their order", async () => {
    const id = await registered("outside", ["INVOKE", "SHUTDOWN"]);
    api.send("INVOKE", { requestId: "1" });
    api.send("SHUTDOWN", { shutdownReason: "timeout" });
    expect((await (await next(id)).answered).body).toEqual({ eventType: "INVOKE", requestId: "1" });
    expect(api.allReady).toBe(false);
    expect((await (await next(id)).answered).body).toEqual({ eventType: "SHUTDOWN", shutdownReason: "timeout" });
  });

  test("a second one while the first waits is refused, and the first is answered", async () => {
    const id = await registered("outside", ["INVOKE"]);
    const first = await next(id);
    expect((await next(id)).answer).toEqual(refusal(403, "Extension.InvalidExtensionState"));
    api.send("INVOKE", { requestId: "1" });
    expect((await first.answered).body).toEqual({ eventType: "INVOKE", requestId: "1" });
  });

  test("nobody is ready who has not asked", async () => {
    expect(api.allReady).toBe(true);
    await register("inside");
    expect(api.allReady).toBe(false);
  });
});
