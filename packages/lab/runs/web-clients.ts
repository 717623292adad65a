/** Clients of a Web Function that have a request in flight when it ends. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a client does with a connection. */
type Conversation = (socket: Socket, ms: number) => unknown;

export interface WebClient {
  /** @default - it sends nothing */
  readonly converse?: Conversation;
  /** What it asks for, and is answered, before. @default nothing */
  readonly before?: string;
  /** Tells whether the bytes are a whole answer. @default - the server may cut it off, or there is none */
  readonly isWhole?: (text: string) => boolean;
  /** The first bytes leave right before SIGTERM. @default false */
  readonly isLate?: true;
}

const HOST = "Host: lab\r\n";
const get = (path: string, version = "1.1"): string => `GET ${path} HTTP/${version}\r\n${HOST}\r\n`;
const post = (path: string, length: number, headers = ""): string =>
  `POST ${path} HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n${headers}\r\n`;
/** So many answers, and the last one is whole. */
const answers =
  (count: number, status = 200) =>
  (text: string): boolean =>
    text.split(`HTTP/1.1 ${status} `).length === count + 1 &&
    /answer( to 2000)?(\r\n0\r\n\r\n)?$/.test(text.slice(-30));
const LARGE_BYTES = 6_000_000;

/** By what is special about each. Its request takes some milliseconds after SIGTERM. */
export const WEB_CLIENTS: Readonly<Record<string, WebClient>> = {
  "a statement": { converse: (socket, ms) => socket.write(get(`/statement/${ms}`)), isWhole: answers(1) },
  "a statement at the end": { converse: (socket, ms) => socket.write(get(`/late/${ms}`)), isWhole: answers(1) },
  "in the tick of SIGTERM": {
    converse: (socket, ms) => socket.write(get(`/late/${ms}`)),
    ...{ isWhole: answers(1), isLate: true },
  },
  "a used connection": {
    before: get("/late/0"),
    converse: (socket, ms) => socket.write(get(`/statement/${ms}`)),
    isWhole: answers(2),
  },
  pipelined: {
    converse: (socket, ms) => socket.write(get(`/statement/${ms}`) + get(`/late/${ms + 30}`)),
    isWhole: answers(2),
  },
  "HTTP/1.0": { converse: (socket, ms) => socket.write(get(`/late/${ms}`, "1.0")), isWhole: answers(1) },
  "half an upload": {
    converse: async (socket, ms) => {
      socket.write(`${post("/upload", 2_000)}${"x".repeat(1_000)}`);
      await sleep(ms);
      socket.write("x".repeat(1_000));
    },
    isWhole: answers(1),
  },
  "an upload that waits for 100": {
    converse: async (socket, ms) => {
      socket.write(post("/upload", 2_000, "Expect: 100-continue\r\n"));
      await once(socket, "data");
      await sleep(ms);
      socket.write("x".repeat(2_000));
    },
    isWhole: answers(1),
  },
  "an upload that is refused early": {
    converse: async (socket, ms) => {
      socket.write(`${post("/early", 300_000)}${"x".repeat(1_000)}`);
      await sleep(ms);
      socket.write("x".repeat(299_000));
    },
    isWhole: answers(1, 413),
  },
  "half a header": {
    converse: async (socket, ms) => {
      const [first, rest] = [get("/late/0").slice(0, 20), get("/late/0").slice(20)];
      socket.write(first);
      await sleep(ms);
      socket.write(rest);
    },
    isWhole: answers(1),
  },
  "a slow reader": {
    converse: async (socket, ms) => {
      socket.pause();
      socket.write(get("/large"));
      await sleep(ms);
      socket.resume();
    },
    isWhole: (text) => text.length > LARGE_BYTES && answers(1)(text),
  },
  "a refused upgrade": {
    converse: (socket) =>
      socket.write(`GET /late/5 HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`),
    isWhole: answers(1),
  },
  "kept alive": { before: get("/late/0") },
  silent: {},
  "one that leaves": {
    converse: async (socket, ms) => {
      socket.write(get(`/late/${ms}`));
      await sleep(20);
      socket.destroy();
    },
  },
};

/** Requests that do not end by themselves. */
export const ENDLESS_CLIENTS: Readonly<Record<string, WebClient>> = {
  "longer than the second": { converse: (socket) => socket.write(get("/statement/3000")) },
  "waits longer than the second": { converse: (socket) => socket.write(get("/late/3000")) },
  "an event stream": { converse: (socket) => socket.write(get("/events")) },
  "an upload that stops": { converse: (socket) => socket.write(`${post("/upload", 2_000)}x`) },
  "a header that stops": { converse: (socket) => socket.write("GET /la") },
};

export interface WebConversation {
  /** Begins, and resolves with all bytes when the connection has ended. */
  converse(): Promise<string>;
  /** When the last byte came, or left. */
  lastByteAt(): number;
}

/** Connects, and does not send yet. */
export async function openClient({ before, converse }: WebClient, port: number, ms: number): Promise<WebConversation> {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  let text = "";
  let lastByteAt = 0;
  socket.on("data", (chunk: string) => {
    text += chunk;
    lastByteAt = performance.now();
  });
  if (before !== undefined) {
    socket.write(before);
    await once(socket, "data");
  }
  return {
    lastByteAt: () => lastByteAt,
    converse: async () => {
      void Promise.resolve(converse?.(socket, ms)).then(
        () => (lastByteAt = performance.now()),
        () => undefined, // the connection was reset
      );
      // Not `once`, which rejects: a server that is gone resets a connection with unread bytes.
      if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
      return text;
    },
  };
}

/** Writes what the paths of the clients ask for; `query` is `(sql) => Promise`. */
export const WEB_ROUTES = `
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const routes = {
  statement: async (ms) => { await query("SELECT SLEEP(" + ms / 1000 + ")"); return "answer"; },
  late: async (ms) => { await wait(ms); await query("SELECT 1"); return "answer"; },
  large: async () => { await query("SELECT 1"); return "x".repeat(${LARGE_BYTES}) + "answer"; },
  upload: async (_, request) => {
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    await query("SELECT 1");
    return "answer to " + bytes;
  },
};
async function answer(request, response) {
  const [, name, ms] = request.url.split("/");
  if (name === "events") return void setInterval(() => response.write("data: x\\n\\n"), 20);
  if (name === "early") { response.statusCode = 413; return response.end("answer"); }
  try {
    response.end(await routes[name](Number(ms), request));
  } catch (error) {
    console.log("failed", request.url, error.message);
    response.statusCode = 500;
    response.end("failed");
  }
}`;
