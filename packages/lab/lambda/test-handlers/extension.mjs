/** An external extension: node extension.mjs <name> <options as JSON>. It notes what it does and what it is told. */
import { appendFileSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const [name, options] = process.argv.slice(2);
const { events = ["SHUTDOWN"], registerAfterMs = 0, askAfterMs = 0, workMs = 0, mode = "leave" } = JSON.parse(options);

function note(what, event, variables) {
  appendFileSync(
    process.env.NOTES,
    `${JSON.stringify({ what, event, variables, at: Date.now(), pid: process.pid })}\n`,
  );
}

function call(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const url = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2020-01-01/extension${path}`;
    request(url, { method, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ headers: response.headers, body: JSON.parse(text) }));
    })
      .on("error", reject)
      .end(body);
  });
}

note(`${name} started`, undefined, Object.keys(process.env));
if (mode === "silent") setInterval(() => {}, 1_000);
else {
  await sleep(registerAfterMs);
  const { headers } = await call("POST", "/register", { "Lambda-Extension-Name": name }, JSON.stringify({ events }));
  const identifier = { "Lambda-Extension-Identifier": headers["lambda-extension-identifier"] };
  note(`${name} registered`);
  await sleep(askAfterMs);
  if (mode === "crash in Init") process.exit(7);
  if (mode === "exit in Init") process.exit(0);
  if (mode === "init error" || mode === "exit error") {
    await call(
      "POST",
      `/${mode.replace(" ", "/")}`,
      { ...identifier, "Lambda-Extension-Function-Error-Type": "Extension.Broken" },
      "{}",
    );
    process.exit(1);
  }
  for (;;) {
    note(`${name} asks`);
    const { body } = await call("GET", "/event/next", identifier);
    note(`${name} got ${body.eventType}`, body);
    if (mode === "crash on INVOKE" && body.eventType === "INVOKE") process.exit(7);
    if (mode === "leave" && body.eventType === "SHUTDOWN") process.exit(0);
    await sleep(workMs);
  }
}
