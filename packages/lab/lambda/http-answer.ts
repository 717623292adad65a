import type { IncomingMessage, ServerResponse } from "node:http";

/** With Content-Length: the native addon of AWS's client does not survive an answer without one. */
export function json(response: ServerResponse, status: number, body: object | string): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}

/** An error as both APIs write it. */
export function refuse(response: ServerResponse, status: number, errorType: string, errorMessage: string): void {
  json(response, status, { errorMessage, errorType });
}

/** The path is there, but not for this method. */
export function refuseMethod(response: ServerResponse): void {
  response.writeHead(405, { "Content-Length": 0 }).end();
}

export async function readBody(request: IncomingMessage): Promise<string> {
  return (await readBodyUpTo(request, Infinity)).body;
}

/** Reads all of it, and keeps no more than `most` bytes. */
export async function readBodyUpTo(
  request: IncomingMessage,
  most: number,
): Promise<{ readonly body: string; readonly size: number }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= most) chunks.push(chunk);
  }
  return { body: Buffer.concat(chunks).toString("utf8"), size };
}
