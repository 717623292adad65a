/** Registers an internal extension before Init ends, which makes Lambda send SIGTERM without an external one. */
import { request } from "node:http";

const url = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2020-01-01/extension`;

const identifier = await new Promise((resolve, reject) => {
  const headers = { "Lambda-Extension-Name": "inside" };
  request(`${url}/register`, { method: "POST", headers }, (response) => {
    response.resume().on("end", () => resolve(response.headers["lambda-extension-identifier"]));
  })
    .on("error", reject)
    .end('{"events":[]}');
});
request(`${url}/event/next`, { headers: { "Lambda-Extension-Identifier": identifier } })
  .on("socket", (socket) => socket.unref())
  .on("error", () => {})
  .end();

export { handler } from "./probe.mjs";
