/**
 * Steps in where AWS's runtime client cannot be built (macOS, no compiler): loads the handler, asks the Runtime API for
 * one event after the other, answers. It is JavaScript, without the native addon of AWS's client, so process.exit()
 * ends it at once; under AWS's client it does not.
 */
import { existsSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, method, path: `/2018-06-01/runtime${path}`, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ headers: response.headers, body: text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function report(path, error) {
  const { name, message, stack } = error instanceof Error ? error : { name: "Error", message: String(error) };
  const body = { errorType: name, errorMessage: message, stackTrace: (stack ?? "").split("\n") };
  console.error(stack ?? message);
  return call("POST", path, JSON.stringify(body), { "Lambda-Runtime-Function-Error-Type": name });
}

async function loadHandler() {
  const [file, name] = process.env._HANDLER.split(".");
  const base = join(process.env.LAMBDA_TASK_ROOT, file);
  const found = [".mjs", ".js", ".cjs"].map((ending) => base + ending).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`no ${file}.mjs, .js or .cjs in ${process.env.LAMBDA_TASK_ROOT}`);
  const module = await import(pathToFileURL(found).href);
  const handler = module[name] ?? module.default?.[name];
  if (typeof handler !== "function") throw new Error(`${found} exports no function "${name}"`);
  return handler;
}

let handler;
try {
  handler = await loadHandler();
} catch (error) {
  await report("/init/error", error);
  process.exit(1);
}
for (;;) {
  const { headers, body } = await call("GET", "/invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  try {
    const result = await handler(JSON.parse(body), context);
    await call("POST", `/invocation/${id}/response`, JSON.stringify(result ?? null));
  } catch (error) {
    await report(`/invocation/${id}/error`, error);
  }
}
