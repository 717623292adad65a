import type { OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { net } from "../node-runtime.ts";
import { ServiceError } from "./aws-error.ts";
import { httpAnswer, type HttpAnswer } from "./http-answer.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly headers: OutgoingHttpHeaders;
  readonly body?: string;
}

/** A secret has 64 KiB at the most, and JSON can make six bytes of one. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** As the standard mode of AWS's SDKs: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html */
const ATTEMPTS = 3;
const BACK_OFF_MS = 100;
const THROTTLED_BACK_OFF_MS = 500;

/** Waits of the SDK's table of transient errors of the network. */
const TRANSIENT_CODES = [
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
];
const TRANSIENT_STATUSES = [500, 502, 503, 504];
const TRANSIENT_TYPES = /^(RequestTimeout(Exception)?|TimeoutError|InternalServiceError)$/;
const THROTTLED_TYPES = /Throttl|TooManyRequests|LimitExceeded|ProvisionedThroughputExceeded|SlowDown/;

/**
 * One request and its whole answer, on a connection of its own: one that was kept would be dead after a freeze. Node's own
 * errors are passed on.
 *
 * Written by hand, since the first request of node:https takes 4 ms of CPU more (13.8 against 9.9, measured on Node.js 24):
 * its classes for agents, requests and answers are compiled in every Init.
 */
export function exchange(url: URL, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connectTo(url);
    const abort = (): void => {
      socket.destroy(signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
    const chunks: Buffer[] = [];
    let bytes = 0;
    const read = (isEnded: boolean): void => {
      try {
        if (bytes > MAX_ANSWER_BYTES) throw new ServiceError("TooLongAnswer", "", 0);
        const answer = httpAnswer(Buffer.concat(chunks), isEnded);
        if (answer === undefined) return;
        resolve(answer);
        socket.destroy();
      } catch (error) {
        socket.destroy(error as Error);
      }
    };
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      read(false);
    });
    socket.once("end", () => {
      read(true);
    });
    socket.on("error", reject).once("close", () => {
      signal.removeEventListener("abort", abort);
      const why = "the connection was closed before the answer was complete";
      reject(Object.assign(new Error(why), { code: "ECONNRESET" })); // does nothing after an answer or an error
    });
    socket.write(requestText(url, request));
  });
}

function connectTo(url: URL): Socket {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1"); // an IPv6 address
  if (url.protocol === "http:") return net.connect({ host, port: Number(url.port || 80) });
  const serverName = net.isIP(host) === 0 ? { servername: host } : {};
  const tls = process.getBuiltinModule("node:tls");
  return tls.connect({ host, port: Number(url.port || 443), ...serverName, ALPNProtocols: ["http/1.1"] });
}

function requestText(url: URL, { method, headers, body = "" }: HttpRequest): string {
  const length = method === "GET" ? {} : { "Content-Length": Buffer.byteLength(body) };
  const all = { Host: url.host, ...headers, ...length, Connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${String(value)}`);
  // A value that holds an end of a line would be a header more.
  if (lines.some((line) => /[\r\n\0]/.test(line))) throw new TypeError("a header of the request has a line break");
  return `${[`${method} ${url.pathname}${url.search} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

/**
 * Runs a request again after an error that may be gone the next time. It waits in between, longer each time, and not
 * at the same moment as other execution environments.
 *
 * @param failed is told each error that is tried again
 */
export async function retried<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal,
  failed: (error: unknown) => void = () => undefined,
): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || count === ATTEMPTS || !(isTransient(error) || isThrottled(error))) throw error;
      failed(error);
      const unit = isThrottled(error) ? THROTTLED_BACK_OFF_MS : BACK_OFF_MS;
      await sleep(Math.random() * unit * 2 ** (count - 1), undefined, { signal });
    }
  }
}

function isTransient(error: unknown): boolean {
  if (error instanceof ServiceError) {
    return TRANSIENT_STATUSES.includes(error.status) || TRANSIENT_TYPES.test(error.type);
  }
  return TRANSIENT_CODES.includes((error as NodeJS.ErrnoException).code ?? "");
}

function isThrottled(error: unknown): boolean {
  return error instanceof ServiceError && (error.status === 429 || THROTTLED_TYPES.test(error.type));
}
