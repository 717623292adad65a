import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** An answer as text or JSON; "silence" keeps the request, "reset" ends its connection. */
export type Answer = "silence" | "reset" | { readonly status?: number; readonly type?: string; readonly body: unknown };

/** A fake of an HTTP endpoint of AWS: what it receives is kept, what it answers is the test's. */
export interface FakeSecretsManager {
  readonly url: string;
  readonly received: readonly Received[];
  close(): void;
}

/** @param answers one a request; the last is repeated */
export async function fakeSecretsManager(...answers: readonly Answer[]): Promise<FakeSecretsManager> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      const answer = answers[Math.min(received.length, answers.length - 1)] ?? "silence";
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      if (answer === "silence") return;
      if (answer === "reset") return void request.socket.resetAndDestroy();
      const { status = 200, type, body } = answer;
      response.writeHead(status, type === undefined ? {} : { "x-amzn-errortype": type });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
