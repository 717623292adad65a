import type { Conversation } from "./conversation.ts";
import { FrameReader } from "./frames.ts";
import { MysqlConversation } from "./mysql.ts";

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const PG_VERSIONS = [196_608, 196_610];
const PG_SSL_REQUEST = 80_877_103;
const PG_CANCEL_REQUEST = 80_877_102;
/** `readUInt32BE` takes several times as long. */
function readPgLength(bytes: Buffer, at: number): number {
  const high = (bytes[at] as number) * 0x1000000;
  return high + (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
}
const PG_MESSAGE = {
  headerBytes: 5,
  headBytes: 32,
  length: (bytes: Buffer, at: number) => readPgLength(bytes, at + 1) + 1,
};
const PG_STARTUP = { headerBytes: 8, headBytes: 8, length: readPgLength };

/** The first byte of a message. */
const code = (letter: string): number => letter.charCodeAt(0);
const DATA_ROW = code("D");
const BACKEND_KEY = code("K");
const READY_FOR_QUERY = code("Z");
const IDLE = code("I");
const QUERY = code("Q");
const SYNC = code("S");
const FUNCTION_CALL = code("F");
const TERMINATE = code("X");
const COPY_DATA = code("d");
/** Parse, Bind, Describe, Execute, Close: a batch that ends with Sync. */
const EXTENDED = ["P", "B", "D", "E", "C"].map(code);
/** The server sends them at any time. */
const NOTICE = code("N");
const PARAMETER_STATUS = code("S");
const NOTIFICATION = code("A");
/** After them the server waits for the client. */
const COPY_IN = code("G");
const PORTAL_SUSPENDED = code("s");
const COPY_BOTH = code("W");

class PostgresqlConversation implements Conversation {
  readonly name = "postgresql";
  isInTransaction = false;
  isClosing = false;
  startsTls = false;
  /** ReadyForQuery messages that have to come: one for the log-in. */
  private awaited = 1;
  private isInBatch = false;
  /** The server waits for the client: for rows of COPY, for more of a cursor, or for what a replica says. */
  private waitsFor: "copy" | "fetch" | "replica" | undefined;
  private hasStarted = false;
  private key: Buffer | undefined;
  private client = new FrameReader(PG_STARTUP, (bytes, at) => {
    this.start(bytes.readUInt32BE(at + 4));
  });
  private readonly server = new FrameReader(PG_MESSAGE, (bytes, at, length) => {
    const type = bytes[at] as number;
    if (type === DATA_ROW || type === COPY_DATA) return;
    if (type === NOTICE || type === PARAMETER_STATUS || type === NOTIFICATION) return;
    this.waitsFor = undefined;
    if (type === COPY_BOTH) this.waitsFor = "replica";
    if (type === COPY_IN || type === PORTAL_SUSPENDED) {
      this.waitsFor = type === COPY_IN ? "copy" : "fetch";
      this.isInTransaction = true;
    }
    if (type === BACKEND_KEY && length <= PG_MESSAGE.headBytes)
      this.key = Buffer.from(bytes.subarray(at + 5, at + length));
    if (type !== READY_FOR_QUERY) return;
    this.awaited = Math.max(0, this.awaited - 1);
    this.isInTransaction = bytes[at + 5] !== IDLE;
  });

  get isBusy(): boolean {
    if (!this.client.isBetweenFrames) return true;
    return this.waitsFor === undefined && (this.awaited > 0 || this.isInBatch);
  }

  /** Terminate, in COPY behind CopyFail. */
  goodbye(): Buffer {
    return Buffer.from(`${this.waitsFor === "copy" ? "660000000500" : ""}5800000004`, "hex");
  }

  cancelRequest(): Buffer | undefined {
    if (this.key === undefined) return undefined;
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + this.key.length);
    head.writeUInt32BE(PG_CANCEL_REQUEST, 4);
    return Buffer.concat([head, this.key]);
  }

  sent(chunk: Buffer): void {
    if (this.hasStarted && this.client.framing === PG_STARTUP && this.client.isBetweenFrames)
      this.client = new FrameReader(PG_MESSAGE, (bytes, at) => {
        this.sentMessage(bytes[at] as number);
      });
    this.client.read(chunk);
  }

  received(chunk: Buffer): void {
    if (this.startsTls)
      this.startsTls = false; // the one byte that answers the SSLRequest
    else this.server.read(chunk);
  }

  private start(version: number): void {
    if (version === PG_SSL_REQUEST) this.startsTls = true;
    else this.hasStarted = true;
  }

  private sentMessage(type: number): void {
    // Rows of COPY change nothing, and a replica's messages neither.
    if (this.waitsFor !== "replica" && type !== COPY_DATA) this.waitsFor = undefined;
    if (type === QUERY || type === SYNC || type === FUNCTION_CALL) this.awaited += 1;
    if (type === SYNC) this.isInBatch = false;
    else if (EXTENDED.includes(type)) this.isInBatch = true;
    else if (type === TERMINATE) this.isClosing = true;
  }
}

const LINE_FEED = 0x0a;

/** Characters of a command's name that are kept, and of a line. */
const NAME_CHARACTERS = 16;
const LINE_CHARACTERS = 32;

/** Finds complete values of RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
class RespReader {
  private line = "";
  private rest = 0;
  /** Elements that the current value lacks. */
  private missing = 0;
  private isPush = false;
  /** The value's first text is read. */
  private isNamed = false;
  private name = "";

  constructor(private readonly onValue: (name: string) => void) {}

  get isBetweenFrames(): boolean {
    return this.missing === 0 && this.line === "" && this.rest === 0;
  }

  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.rest > 0) {
        const skipped = Math.min(this.rest, bytes.length - at);
        if (!this.isNamed)
          this.name = (this.name + bytes.toString("latin1", at, at + skipped)).slice(0, NAME_CHARACTERS);
        this.rest -= skipped;
        at += skipped;
        if (this.rest === 0) this.element();
        continue;
      }
      const end = bytes.indexOf(LINE_FEED, at);
      const until = end === -1 ? bytes.length : end;
      const missing = LINE_CHARACTERS - this.line.length;
      if (missing > 0) this.line += bytes.toString("latin1", at, Math.min(until, at + missing));
      at = until + 1;
      if (end !== -1) this.endLine();
    }
  }

  private endLine(): void {
    const [type = "", count] = [this.line[0], Number.parseInt(this.line.slice(1), 10)];
    this.line = "";
    if (this.missing === 0) {
      [this.missing, this.isPush, this.name] = [1, type === ">", ""];
      this.isNamed = type !== "*";
    }
    if ("$!=".includes(type) && count >= 0) this.rest = count + 2;
    else {
      if ("*>~".includes(type)) this.missing += Math.max(0, count);
      if (type === "%") this.missing += 2 * count;
      if (type === "|") this.missing += 2 * count + 1; // attributes stand in front of a value
      this.missing -= 1;
      this.finish();
    }
  }

  private element(): void {
    this.isNamed = true;
    this.missing -= 1;
    this.finish();
  }

  private finish(): void {
    if (this.missing === 0 && !this.isPush) this.onValue(this.name);
  }
}

/** They have no answer, or one for each channel. */
const SUBSCRIPTION = /^[PS]?(?:UN)?SUBSCRIBE\b|^MONITOR\b/i;

/** They wait for somebody else's data. Nothing is lost if the connection ends in front of it. */
const BLOCKING = /^(?:BL|BR|BZ|XREAD)/i;

class RedisConversation implements Conversation {
  readonly name = "redis";
  private asked = 0;
  private answered = 0;
  /** The commands, counted as {@link asked}, that may wait for ever. */
  private blocking: number[] = [];
  private readonly client = new RespReader((name) => {
    if (SUBSCRIPTION.test(name)) return;
    if (BLOCKING.test(name)) this.blocking.push(this.asked);
    this.asked += 1;
  });
  private readonly server = new RespReader(() => {
    this.answered = Math.min(this.asked, this.answered + 1);
    if (this.blocking.length > 0) this.blocking = this.blocking.filter((command) => command >= this.answered);
  });

  get isBusy(): boolean {
    const isWaiting = this.asked > this.answered && this.blocking[0] !== this.answered;
    return isWaiting || !this.client.isBetweenFrames;
  }

  sent(chunk: Buffer): void {
    this.client.read(chunk);
  }

  received(chunk: Buffer): void {
    this.server.read(chunk);
  }
}

/** https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ */
const MONGODB_OPCODES = [2_004, 2_012, 2_013];
const MONGODB = { headerBytes: 16, headBytes: 48, length: (bytes: Buffer, at: number) => bytes.readUInt32LE(at) };
const MORE_TO_COME = 0x2;

class MongodbConversation implements Conversation {
  readonly name = "mongodb";
  private awaited: number | undefined;
  private readonly client = new FrameReader(MONGODB, (bytes, at, length) => {
    const head = bytes.toString("latin1", at + 16, at + Math.min(length, MONGODB.headBytes));
    // The monitor asks `hello` and waits ten seconds for the answer. Without an answer nothing is lost.
    if (!/hello|isMaster|ismaster/.test(head) && !moreToCome(bytes, at)) this.awaited = bytes.readUInt32LE(at + 4);
  });
  private readonly server = new FrameReader(MONGODB, (bytes, at) => {
    if (bytes.readUInt32LE(at + 8) === this.awaited && !moreToCome(bytes, at)) this.awaited = undefined;
  });

  get isBusy(): boolean {
    return this.awaited !== undefined || !this.client.isBetweenFrames;
  }

  sent(chunk: Buffer): void {
    this.client.read(chunk);
  }

  received(chunk: Buffer): void {
    this.server.read(chunk);
  }
}

function moreToCome(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32LE(at + 12) === 2_013 && ((bytes[at + 16] ?? 0) & MORE_TO_COME) !== 0;
}

/** https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf: type, channel, size, content, one byte at the end. */
const AMQP = { headerBytes: 7, headBytes: 11, length: (bytes: Buffer, at: number) => bytes.readUInt32BE(at + 3) + 8 };
const AMQP_HEADER = "AMQP\0\0\x09\x01";
const CONNECTION_OPEN_OK = 0x000a0029;
const CONNECTION_CLOSE_OK = 0x000a0033;
/** On channel 0: Connection.Close, code 200, text "shutdown". */
const CONNECTION_CLOSE = "01000000000013000a003200c80873687574646f776e00000000ce";

class AmqpConversation implements Conversation {
  readonly name = "amqp";
  awaitsCloseOk = true;
  private isOpen = false;
  private client: FrameReader | undefined;
  private readonly server = new FrameReader(AMQP, (bytes, at, length) => {
    const method = length >= 12 && bytes[at] === 1 ? bytes.readUInt32BE(at + 7) : 0;
    if (method === CONNECTION_OPEN_OK) this.isOpen = true;
    if (method === CONNECTION_CLOSE_OK) this.awaitsCloseOk = false;
  });

  get isBusy(): boolean {
    return !this.isOpen || this.client?.isBetweenFrames === false;
  }

  goodbye(): Buffer {
    return Buffer.from(CONNECTION_CLOSE, "hex");
  }

  sent(chunk: Buffer): void {
    const bytes = this.client === undefined ? chunk.subarray(AMQP_HEADER.length) : chunk;
    this.client ??= new FrameReader(AMQP, () => undefined);
    this.client.read(bytes);
  }

  received(chunk: Buffer): void {
    this.server.read(chunk);
  }
}

/** A question without an answer, for as long as nothing else is known. */
class OtherConversation implements Conversation {
  readonly name = "other";
  isBusy = false;

  sent(): void {
    this.isBusy = true;
  }

  received(): void {
    this.isBusy = false;
  }
}

interface Protocol {
  /** The client's first bytes. @default - the server speaks first */
  readonly client?: (bytes: Buffer) => boolean;
  /** The server's first bytes, if it speaks first. */
  readonly server?: (bytes: Buffer) => boolean;
  /** undefined: the connection is left alone. */
  readonly start: (() => Conversation) | undefined;
}

const HTTP = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|PRI) /;

/** Which protocol a connection speaks, by its first bytes. */
export const PROTOCOLS: readonly Protocol[] = [
  { client: (bytes) => HTTP.test(bytes.toString("latin1", 0, 8)), start: undefined },
  // Packet 0, protocol version 10; or an error in its place.
  {
    server: (bytes) => bytes.length > 4 && bytes[3] === 0 && (bytes[4] === 10 || bytes[4] === 0xff),
    start: () => new MysqlConversation(),
  },
  {
    client: (bytes) =>
      bytes.length >= 8 && bytes[0] === 0 && [...PG_VERSIONS, PG_SSL_REQUEST].includes(bytes.readUInt32BE(4)),
    start: () => new PostgresqlConversation(),
  },
  { client: (bytes) => /^\*\d/.test(bytes.toString("latin1", 0, 2)), start: () => new RedisConversation() },
  {
    client: (bytes) => bytes.length >= 16 && MONGODB_OPCODES.includes(bytes.readUInt32LE(12)),
    start: () => new MongodbConversation(),
  },
  { client: (bytes) => bytes.toString("latin1", 0, 8) === AMQP_HEADER, start: () => new AmqpConversation() },
  { client: () => true, server: () => true, start: () => new OtherConversation() },
];
