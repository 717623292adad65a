import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { exchange } from "./aws-request.ts";
import { httpAnswer, MalformedAnswerError } from "./http-answer.ts";

const read = (text: string, isEnded = false): unknown => httpAnswer(Buffer.from(text), isEnded);

test.each([
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhéy!", { "content-length": "5" }, "héy!"],
  ["no body", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", { "content-length": "0" }, ""],
  [
    "chunks",
    "HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhé\r\n1;a=b\r\n!\r\n0\r\n\r\n",
    { "transfer-encoding": "Chunked" },
    "hé!",
  ],
  [
    "informational answers before it",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
    { "content-length": "1" },
    "1",
  ],
])("an answer with %s is complete with its last byte, and not before", (_, text, headers, body) => {
  const bytes = Buffer.from(text);
  const last = text.includes("0\r\n\r\n") ? bytes.length - 2 : bytes.length; // the chunk of size 0 is the end
  for (let length = 0; length < last; length += 1) expect(httpAnswer(bytes.subarray(0, length), false)).toBeUndefined();
  expect(httpAnswer(bytes, false)).toEqual({ status: 200, headers, text: body });
});

test("the end of the connection ends an answer without a length, and no other", () => {
  expect(read("HTTP/1.0 503 Slow Down\r\nServer: x\r\n\r\nbusy")).toBeUndefined();
  const answer = { status: 503, headers: { server: "x" }, text: "busy" };
  expect(read("HTTP/1.0 503 Slow Down\r\nServer: x\r\n\r\nbusy", true)).toEqual(answer);
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbusy", true)).toBeUndefined();
  expect(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbusy", true)).toBeUndefined();
});

test.each([
  ["another protocol", "220 smtp.example.com\r\n\r\n"],
  ["a line that is no header", "HTTP/1.1 200 OK\r\nno header\r\n\r\n"],
  ["a folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
  ["a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
  ["an encoding that nobody asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
  ["a chunk without a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
])("%s is refused", (_, text) => {
  expect(() => read(text)).toThrow(MalformedAnswerError);
});

describe("a request", () => {
  /** Sends what it is given, and hands over what it got. */
  async function server(answer: string, isKept = false) {
    const asked: string[] = [];
    const listening = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        asked.push(data.toString());
        socket.write(answer);
        if (!isKept) socket.end();
      });
    }).listen(0, "127.0.0.1");
    await once(listening, "listening");
    const { port } = listening.address() as AddressInfo;
    return { asked, url: new URL(`http://127.0.0.1:${port}/path?query`), close: () => listening.close() };
  }
  const post = { method: "POST" as const, headers: { "X-Amz-Target": "t" }, body: "{é}" };

  test("has its own headers, the host's and the length in bytes, and needs no end of the connection", async () => {
    const { asked, url, close } = await server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true);
    await expect(exchange(url, post, AbortSignal.timeout(5_000))).resolves.toMatchObject({ status: 200, text: "{}" });
    expect(asked.join("")).toBe(
      `POST /path?query HTTP/1.1\r\nHost: ${url.host}\r\nX-Amz-Target: t\r\nContent-Length: 4\r\nConnection: close\r\n\r\n{é}`,
    );
    close();
  });

  test.each([
    ["a connection that is closed too early", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", { code: "ECONNRESET" }],
    ["too long an answer", `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(2 ** 20 + 1)}`, { type: "TooLongAnswer" }],
    ["its signal", "", { name: "TimeoutError" }],
  ])("is ended by %s", async (_, answer, error) => {
    const { url, close } = await server(answer, !("code" in error));
    await expect(exchange(url, post, AbortSignal.timeout(2_000))).rejects.toMatchObject(error);
    close();
  });

  test("has exactly the headers that it was given", async () => {
    const { url, close } = await server("");
    const smuggled = { ...post, headers: { A: "b\r\nC: d" } };
    await expect(exchange(url, smuggled, AbortSignal.timeout(5_000))).rejects.toThrow("a header of the request");
    close();
  });
});
