/**
 * An external extension that replaces CloudWatch Lambda Insights, whose layer exists only in AWS. It does
 * what makes Lambda send SIGTERM: it registers, waits for its events, and leaves on SHUTDOWN.
 */
import { request } from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, method, path: `/2020-01-01/extension${path}`, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ headers: response.headers, body: JSON.parse(text) }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const { headers } = await call(
  "POST",
  "/register",
  { "Lambda-Extension-Name": "fake-insights-extension" },
  '{"events":["SHUTDOWN"]}',
);
const identifier = { "Lambda-Extension-Identifier": headers["lambda-extension-identifier"] };
for (;;) {
  const { body } = await call("GET", "/event/next", identifier);
  if (body.eventType === "SHUTDOWN") process.exit(0);
}
