import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ServiceError } from "./aws-error";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly headers: OutgoingHttpHeaders;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
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

/** One request and its whole answer. Node's own errors are passed on. */
export async function exchange(
  url: URL,
  { method, headers, body }: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { request } = url.protocol === "http:" ? await import("node:http") : await import("node:https");
  return await new Promise((resolve, reject) => {
    // A connection of its own: one that was kept would be dead after a freeze.
    const call = request(url, { method, headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= MAX_ANSWER_BYTES) chunks.push(chunk);
        else response.destroy(new ServiceError("TooLongAnswer", "", response.statusCode ?? 0));
      });
      response.once("error", reject);
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    call.once("error", reject);
    call.end(body);
  });
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
