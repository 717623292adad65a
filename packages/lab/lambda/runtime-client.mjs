/**
 * AWS's runtime client where its native addon cannot be built (macOS, no compiler): AWS's own JavaScript, with this
 * file in the addon's place. The addon asks for the next event on a thread of libuv's pool, which process.exit() waits
 * for, so the process hangs until SIGKILL. This one does the same, so that a handler gets the same verdict on both.
 *
 *   node runtime-client.mjs [folder of aws-lambda-ric]
 */
import { request } from "node:http";
import Module from "node:module";
import { fileURLToPath } from "node:url";
import { startClient } from "./start-client.mjs";

const DEFAULT_FOLDER = fileURLToPath(new URL("runtimes/nodejs24.x/node_modules/aws-lambda-ric", import.meta.url));
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
/** The headers that the addon hands on. */
const HEADERS = [
  "lambda-runtime-aws-request-id",
  "lambda-runtime-trace-id",
  "lambda-runtime-invoked-function-arn",
  "lambda-runtime-client-context",
  "lambda-runtime-cognito-identity",
  "lambda-runtime-aws-tenant-id",
];

/** AWS's client stops without them. The lab sets them; a user who starts this file alone need not. */
const VARIABLES = {
  AWS_LAMBDA_FUNCTION_NAME: "function",
  AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128",
  AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/function",
  AWS_LAMBDA_LOG_STREAM_NAME: "lab",
};
for (const [name, value] of Object.entries(VARIABLES)) process.env[name] ??= value;

let isWaiting = false;
/** The answers under way: the addon sends each before it goes on. */
let posting = Promise.resolve();

function call(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, method, path: `/2018-06-01/runtime${path}`, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function post(path, body, headers) {
  const all = { "Content-Type": "application/json", ...headers };
  posting = posting.then(() => call("POST", path, body, all)).catch(() => undefined);
}

const addon = {
  async next() {
    await posting;
    isWaiting = true;
    try {
      const { headers, body } = await call("GET", "/invocation/next");
      const known = HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]));
      const deadline = Number(headers["lambda-runtime-deadline-ms"]);
      return { bodyJson: body, headers: { ...Object.fromEntries(known), "lambda-runtime-deadline-ms": deadline } };
    } finally {
      isWaiting = false;
    }
  },
  done(id, body) {
    post(`/invocation/${id}/response`, body);
    return null;
  },
  error(id, body, xrayCause) {
    const { errorType = "Unhandled" } = JSON.parse(body);
    post(`/invocation/${id}/error`, body, {
      "Lambda-Runtime-Function-Error-Type": errorType,
      "Lambda-Runtime-Function-XRay-Error-Cause": xrayCause,
    });
    return null;
  },
};

const load = Module._load;
Module._load = (name, ...others) => (name.endsWith("/rapid-client.node") ? addon : load(name, ...others));

const reallyExit = process.reallyExit;
process.reallyExit = (code) => {
  // Until a signal kills it.
  if (isWaiting) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  reallyExit.call(process, code);
};

await startClient(process.argv[2] ?? DEFAULT_FOLDER);
