/**
 * An external extension that works as those of AWS's samples do: it subscribes to the Telemetry API, and goes on only
 * when platform.runtimeDone has come. It notes each event: node telemetry-extension.mjs <name> <options as JSON>.
 */
import { appendFileSync } from "node:fs";
import { createServer, request } from "node:http";

const [name, options] = process.argv.slice(2);
const { events = ["INVOKE", "SHUTDOWN"], ...subscription } = JSON.parse(options);
const received = [];
let changed = () => {};

function call(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    request(`http://${process.env.AWS_LAMBDA_RUNTIME_API}${path}`, { method, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ headers: response.headers, body: JSON.parse(text) }));
    })
      .on("error", reject)
      .end(body);
  });
}

async function until(holds) {
  while (!received.some(holds)) await new Promise((resolve) => (changed = resolve));
}

const listener = createServer((incoming, response) => {
  let text = "";
  incoming.on("data", (chunk) => (text += chunk));
  incoming.on("end", () => {
    const batch = JSON.parse(text);
    received.push(...batch);
    for (const event of batch) appendFileSync(process.env.NOTES, `${JSON.stringify(event)}\n`);
    response.end();
    changed();
  });
});
await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));

const { headers } = await call(
  "POST",
  "/2020-01-01/extension/register",
  { "Lambda-Extension-Name": name },
  JSON.stringify({ events }),
);
const identifier = { "Lambda-Extension-Identifier": headers["lambda-extension-identifier"] };
const URI = `http://sandbox.localdomain:${listener.address().port}/telemetry`;
const asked = { schemaVersion: "2022-12-13", destination: { protocol: "HTTP", URI }, ...subscription };
const { body } = await call("PUT", "/2022-07-01/telemetry", identifier, JSON.stringify(asked));
console.log(`subscribed: ${JSON.stringify(body)}`);

for (;;) {
  const { body: event } = await call("GET", "/2020-01-01/extension/event/next", identifier);
  if (event.eventType === "SHUTDOWN") process.exit(0);
  await until(({ type, record }) => type === "platform.runtimeDone" && record.requestId === event.requestId);
}
