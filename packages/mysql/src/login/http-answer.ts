/** One answer of HTTP/1.1: https://www.rfc-editor.org/rfc/rfc9112 */
export interface HttpAnswer {
  readonly status: number;
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

const END_OF_HEAD = "\r\n\r\n";
const END_OF_LINE = "\r\n";

/** The server violates the protocol. */
export class MalformedAnswerError extends Error {
  override readonly name = "MalformedAnswerError";
}

/**
 * Reads an answer, informational answers before it left out.
 *
 * @param received all bytes until now
 * @param isEnded whether no more bytes come, which ends an answer that says nothing about its length
 * @returns undefined as long as bytes are missing
 * @throws MalformedAnswerError
 */
export function httpAnswer(received: Buffer, isEnded: boolean): HttpAnswer | undefined {
  const end = received.indexOf(END_OF_HEAD);
  if (end === -1) return undefined;
  const [statusLine = "", ...lines] = received.toString("latin1", 0, end).split(END_OF_LINE);
  const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) throw new MalformedAnswerError("the answer has no status line of HTTP/1.1");
  const rest = received.subarray(end + END_OF_HEAD.length);
  if (status < 200) return httpAnswer(rest, isEnded);

  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value = ""] = /^([\w!#$%&'*+.^`|~-]+):(.*)$/.exec(line) ?? [];
    if (name === undefined) throw new MalformedAnswerError("the answer has a line that is not a header");
    headers[name.toLowerCase()] ??= value.trim();
  }
  const body = bodyOf(rest, headers, isEnded || status === 204);
  return body && { status, headers, text: body.toString("utf8") };
}

function bodyOf(rest: Buffer, headers: Readonly<Record<string, string>>, isEnded: boolean): Buffer | undefined {
  const { "transfer-encoding": encoding, "content-length": length } = headers;
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== "chunked") throw new MalformedAnswerError(`the answer is encoded as ${encoding}`);
    return unchunked(rest);
  }
  if (length === undefined) return isEnded ? rest : undefined;
  if (!/^\d+$/.test(length)) throw new MalformedAnswerError("the answer's Content-Length is not a number");
  return rest.length < Number(length) ? undefined : rest.subarray(0, Number(length));
}

/** https://www.rfc-editor.org/rfc/rfc9112#section-7.1, without trailers. */
function unchunked(rest: Buffer): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const endOfSize = rest.indexOf(END_OF_LINE, at);
    if (endOfSize === -1) return undefined;
    const size = /^([\da-f]{1,8})[ \t]*(?:;.*)?$/i.exec(rest.toString("latin1", at, endOfSize))?.[1];
    if (size === undefined) throw new MalformedAnswerError("the answer has a chunk without a size");
    const start = endOfSize + END_OF_LINE.length;
    const end = start + Number.parseInt(size, 16);
    if (end === start) return Buffer.concat(chunks);
    if (rest.length < end + END_OF_LINE.length) return undefined;
    chunks.push(rest.subarray(start, end));
    at = end + END_OF_LINE.length;
  }
}
