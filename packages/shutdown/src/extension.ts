import type { Socket } from "node:net";
import { isWebFunction } from "./execution-environment.ts";
import { fs, isMainThread, net } from "./node-modules.ts";

/**
 * An internal extension that does nothing. Lambda sends SIGTERM only if an extension is registered. An extension that
 * the function registers itself needs no layer:
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
 */

/** Unique among the function's extensions: the API refuses a second one of the same name. */
const NAME = "lambda-graceful-shutdown";

/**
 * Milliseconds that Init waits for the API. It answers in 1 or 2. If it does not answer, the function must start all
 * the same.
 */
const LIMIT_MS = 500;

/** These refusals mean that another extension is registered. One is enough for SIGTERM to come. */
const OTHERS_ARE_REGISTERED = ["Extension.TooManyExtensions", "Extension.InvalidExtensionState"];

/** Lambda starts each program in this directory as an extension. */
const EXTERNAL_EXTENSIONS = "/opt/extensions";

/** A refusal by the API. `name` is its error type. */
class Refusal extends Error {
  constructor(
    override readonly name: string,
    message: string,
  ) {
    super(message);
  }
}

// A bundle can hold this module twice, and the second registration would be refused. The process has one extension.
declare global {
  var lambdaGracefulShutdownExtension: Promise<void> | undefined;
}

/**
 * Makes Lambda send SIGTERM, as SHUTDOWN_EXTENSION says: `internal` registers the extension; `external` and `none` do
 * nothing; not set, it registers one if no layer brought another. Await it at the top level of an ES module: once the
 * runtime has asked for its first event, the API refuses every registration. A Web Function gets SIGTERM without one.
 *
 * Never throws and takes half a second at most. Without the extension the function works, but ends without a signal.
 */
export async function registerExtension(
  env: NodeJS.ProcessEnv = process.env,
  externalExtensions = EXTERNAL_EXTENSIONS,
): Promise<void> {
  const { AWS_LAMBDA_RUNTIME_API: api, SHUTDOWN_EXTENSION: setting } = env;
  if (api === undefined || setting === "none" || isWebFunction(env)) return;
  if (!isMainThread()) {
    // Each process registers once, in the main thread, which gets the signal.
    if (globalThis.lambdaGracefulShutdown?.signalsAreRelayed !== true) warnOfWorkerThread();
    return;
  }
  if (isWanted(setting, externalExtensions)) {
    await (globalThis.lambdaGracefulShutdownExtension ??= register(api));
  }
}

/**
 * The same for CommonJS, which cannot wait. A worker thread registers the extension while this thread stands still, which
 * takes some 15 ms more of Init.
 */
export function registerExtensionNow(env: NodeJS.ProcessEnv = process.env): void {
  const { AWS_LAMBDA_RUNTIME_API: api, SHUTDOWN_EXTENSION: setting } = env;
  if (api === undefined || setting === "none" || isWebFunction(env)) return;
  if (globalThis.lambdaGracefulShutdownExtension !== undefined || !isWanted(setting, EXTERNAL_EXTENSIONS)) return;
  globalThis.lambdaGracefulShutdownExtension = Promise.resolve();
  const answer = answerInWorker(api);
  if (answer === undefined) report("Timeout", `the Extensions API did not answer within ${LIMIT_MS} ms`);
  else if (answer.error !== undefined) report(answer.error.name, answer.error.message);
  else waitForNothing(api, answer.identifier);
}

type Answer =
  { readonly identifier: string; readonly error?: undefined } | { readonly error: Pick<Error, "name" | "message"> };

/** @returns undefined if there is no answer in time */
function answerInWorker(api: string): Answer | undefined {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  const shared = new SharedArrayBuffer(4_096);
  const worker = new Worker(REGISTER_IN_WORKER, {
    ...{ eval: true, execArgv: [], env: {} }, // NODE_OPTIONS would attach the worker
    workerData: { api, name: NAME, path: "/2020-01-01/extension/register", shared },
  });
  worker.unref();
  const length = new Int32Array(shared, 0, 1);
  if (Atomics.wait(length, 0, 0, LIMIT_MS) === "timed-out") return undefined;
  const text = Buffer.from(new Uint8Array(shared, 4, length[0])).toString();
  return JSON.parse(text) as Answer;
}

const REGISTER_IN_WORKER = `const { api, name, path, shared } = require("node:worker_threads").workerData;
const done = (answer) => {
  const bytes = Buffer.from(JSON.stringify(answer)).subarray(0, 4092);
  new Uint8Array(shared, 4).set(bytes);
  const length = new Int32Array(shared, 0, 1);
  Atomics.store(length, 0, bytes.length);
  Atomics.notify(length, 0);
};
const fail = ({ code, name, message }) => done({ error: { name: code ?? name, message } });
require("node:http").request("http://" + api + path, { method: "POST", agent: false, headers: { "Lambda-Extension-Name": name } }, (response) => {
  let text = "";
  response.on("data", (chunk) => (text += chunk)).on("error", fail).on("end", () => {
    const identifier = response.headers["lambda-extension-identifier"];
    if (response.statusCode === 200 && identifier) return done({ identifier });
    let { errorType = "HTTP " + response.statusCode, errorMessage = "" } = {};
    try { ({ errorType = errorType, errorMessage = errorMessage } = JSON.parse(text)); } catch {}
    fail({ name: errorType, message: errorMessage.slice(0, 200) });
  });
}).on("error", fail).end('{"events":[]}');`;

function isWanted(setting: string | undefined, externalExtensions: string): boolean {
  switch (setting) {
    case "internal":
      return true;
    case "external":
      return false;
    case undefined:
    case "": // Terraform has no way to leave a variable out of a map
      return !hasEntries(externalExtensions);
    default:
      report("SettingsError", `SHUTDOWN_EXTENSION "${setting}" is not one of external, internal, none`);
      return false;
  }
}

function hasEntries(directory: string): boolean {
  try {
    return fs.readdirSync(directory).length > 0;
  } catch {
    return false; // no layer contains an extension
  }
}

async function register(api: string): Promise<void> {
  const tooLate = AbortSignal.timeout(LIMIT_MS);
  try {
    const head = await call(api, "POST", "register", { "Lambda-Extension-Name": NAME }, '{"events":[]}', (socket) => {
      tooLate.addEventListener("abort", () => socket.destroy(tooLate.reason as Error));
    });
    const identifier = /^lambda-extension-identifier: *(\S+)/im.exec(head)?.[1];
    if (identifier === undefined)
      throw new Refusal("Extension.NoIdentifier", "the Extensions API returned no identifier");
    waitForNothing(api, identifier);
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    if (tooLate.aborted) report("Timeout", `the Extensions API did not answer within ${LIMIT_MS} ms`);
    else report(code ?? name, message);
  }
}

/**
 * Asks for the extension's next event, because Init ends only after that. The extension subscribes to no events, so the
 * answer never comes. So there is no time limit, and the socket does not keep the process alive.
 */
function waitForNothing(api: string, identifier: string): void {
  const headers = { "Lambda-Extension-Identifier": identifier };
  call(api, "GET", "event/next", headers, "", (socket) => socket.unref()).catch((error: unknown) => {
    const { name, code, message } = error as NodeJS.ErrnoException;
    const state = error instanceof Refusal ? undefined : "is still registered";
    report(code ?? name, `${message}; the extension no longer waits for events`, state);
  });
}

/**
 * One HTTP request on a connection of its own, because a connection that is kept alive could break during a freeze. It
 * does not use node:http: nothing else here needs it, and its first request takes 4 ms more of CPU (measured on Node.js
 * 24, whose node:http AWS's runtime client has loaded).
 *
 * @returns the head of the answer @throws Refusal
 */
function call(
  api: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  onSocket: (socket: Socket) => void,
): Promise<string> {
  const { hostname, port } = new URL(`http://${api}`);
  const all = { Host: api, Connection: "close", "Content-Length": String(Buffer.byteLength(body)), ...headers };
  const lines = [
    `${method} /2020-01-01/extension/${path} HTTP/1.1`,
    ...Object.entries(all).map((line) => line.join(": ")),
  ];
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port || 80), hostname);
    onSocket(socket);
    let answer = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
    socket.on("error", reject).on("close", () => {
      const status = /^HTTP\/1\.\d (\d+)/.exec(answer)?.[1];
      const [head = "", ...rest] = answer.split("\r\n\r\n");
      if (status === "200") resolve(head);
      else if (status === undefined) reject(connectionReset());
      else reject(refusal(status, rest.join()));
    });
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  });
}

function connectionReset(): NodeJS.ErrnoException {
  return Object.assign(new Error("the Extensions API closed the connection without an answer"), { code: "ECONNRESET" });
}

/** From the JSON that the API writes, whatever the transfer encoding put around it. */
function refusal(status: string, body: string): Refusal {
  try {
    const text = body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1);
    const { errorType, errorMessage } = JSON.parse(text) as { errorType?: string; errorMessage?: string };
    return new Refusal(errorType ?? `HTTP ${status}`, errorMessage ?? "");
  } catch {
    return new Refusal(`HTTP ${status}`, "the answer is not one of the Extensions API");
  }
}

/** Logs one line: what went wrong, and what it means for the function. */
function report(errorType: string, errorMessage: string, state?: string): void {
  const isComing = state !== undefined || OTHERS_ARE_REGISTERED.includes(errorType);
  const sigterm = isComing
    ? `comes: an extension ${state ?? "is registered already"}`
    : "will not come, unless another extension is registered: SIGKILL ends this environment, and no clean-up runs";
  console.warn(JSON.stringify({ event: "shutdown extension", errorType, errorMessage, sigterm }));
}

/** The part of the Web Locks API that is used here; Node.js has it from version 24 on. */
interface Locks {
  request(name: string, options: { ifAvailable: true }, held: (lock: unknown) => unknown): Promise<unknown>;
}

/**
 * Logs once in a process, in the thread that gets the lock: threads share locks, but not variables. On Node.js 22 each
 * thread logs.
 */
function warnOfWorkerThread(): void {
  const { locks } = (globalThis as { navigator?: { locks?: Locks } }).navigator ?? {};
  if (locks === undefined) sayWorkerThread();
  void locks?.request(NAME, { ifAvailable: true }, (lock) => {
    if (lock === null) return undefined;
    sayWorkerThread();
    return new Promise(() => undefined); // keeps it
  });
}

function sayWorkerThread(): void {
  console.error(
    JSON.stringify({
      event: "shutdown extension",
      errorType: "WorkerThread",
      errorMessage:
        "this function runs in a worker thread (Lambda Managed Instances), and signals reach the main thread only",
      sigterm:
        "will not come: no clean-up runs; preload lambda-graceful-shutdown/attach with NODE_OPTIONS (docs/shutdown-extension.md)",
    }),
  );
}
