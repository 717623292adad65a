import { watchMysql } from "./mysql-watch";
import type { ProtocolWatch, Watched, WatchedEvent } from "./relayed-connection";

/** What is looked at in one direction: bytes are taken from the front when they make up a message. */
type Reader = (bytes: Buffer) => Step;

/** The next message takes this many bytes and is skipped, or more bytes are needed to tell. */
type Step = { readonly skip: number } | "more" | "stop";

const PG_VERSION_3 = 3;
const PG_CANCEL = 80_877_102;
const PG_SSL = 80_877_103;
const PG_GSS = 80_877_104;
const PG_TERMINATE = 0x58; // X
const PG_MAX_STARTUP = 10_000;

const RESP_ARRAY = 0x2a; // *
const RESP_MAX_LINE = 64 * 1024;
/** What a client of Redis may begin with where it does not send arrays. */
const REDIS_INLINE = /^(PING|AUTH|HELLO|SELECT|CLIENT|INFO|GET|SET|QUIT)\b/i;

const AMQP_HEADER = Buffer.from("AMQP");
const AMQP_HEADER_BYTES = 8;
const AMQP_METHOD = 1;
/** Class 10, connection; method 50, close. */
const AMQP_CLOSE = (10 << 16) | 50;

/**
 * The protocol by its first bytes: MySQL's server speaks first, PostgreSQL's client begins with a length and a version,
 * Redis' with an array, AMQP's with its name. Of any other only the end is seen.
 */
export function watchAnyProtocol(connection: Watched, seen: (event: WatchedEvent) => void): ProtocolWatch {
  connection.loggedIn = true; // a server holds a connection from its first moment on
  return new AnyProtocolWatch(connection, seen);
}

class AnyProtocolWatch implements ProtocolWatch {
  #mysql: ProtocolWatch | undefined;
  #reader: Reader | undefined = (bytes) => this.#recognize(bytes);
  #onAnswer: ((chunk: Buffer) => void) | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #toSkip = 0;
  #isOpen = false;

  constructor(
    private readonly connection: Watched,
    private readonly seen: (event: WatchedEvent) => void,
  ) {}

  fromFunction(chunk: Buffer): void {
    this.#open();
    if (this.#mysql !== undefined) this.#mysql.fromFunction(chunk);
    else this.#read(chunk);
  }

  fromServer(chunk: Buffer): void {
    if (!this.#isOpen && isMysqlGreeting(chunk)) {
      this.#isOpen = true; // MySQL's own watch says so, with the thread
      this.connection.loggedIn = false;
      this.#mysql = watchMysql(this.connection, this.seen);
    }
    this.#open();
    this.#mysql?.fromServer(chunk);
    this.#onAnswer?.(chunk);
    this.#onAnswer = undefined;
  }

  #open(): void {
    if (!this.#isOpen) this.seen("open");
    this.#isOpen = true;
  }

  #read(chunk: Buffer): void {
    const skipped = Math.min(this.#toSkip, chunk.length);
    this.#toSkip -= skipped;
    if (this.#reader === undefined || skipped === chunk.length) return;
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(skipped)]);
    while (this.#reader !== undefined && this.#rest.length > 0) {
      const step: Step = this.#reader(this.#rest);
      if (step === "more") return;
      if (step === "stop") this.#reader = undefined;
      else {
        this.#toSkip = Math.max(0, step.skip - this.#rest.length);
        this.#rest = this.#rest.subarray(step.skip);
      }
    }
    this.#rest = Buffer.alloc(0);
  }

  #recognize(bytes: Buffer): Step {
    const { connection, seen } = this;
    if (bytes.length < 8 && bytes[0] === 0) return "more";
    if (bytes[0] === AMQP_HEADER[0] && bytes.length < AMQP_HEADER.length) return "more";
    if (bytes.subarray(0, AMQP_HEADER.length).equals(AMQP_HEADER)) this.#reader = amqp(connection, seen);
    else if (bytes[0] === 0) this.#reader = postgresql(connection, seen, (then) => (this.#onAnswer = then));
    else this.#reader = redis(connection, seen, bytes);
    return { skip: 0 };
  }
}

/** A packet with sequence number 0 and a version that all servers since 1998 have. */
function isMysqlGreeting(chunk: Buffer): boolean {
  return chunk.length > 5 && chunk[3] === 0 && chunk[4] === 10;
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
function postgresql(
  connection: Watched,
  seen: (event: WatchedEvent) => void,
  answered: (then: (chunk: Buffer) => void) => void,
): Reader {
  let hasStarted = false;
  return (bytes) => {
    if (connection.encrypted) return "stop";
    if (!hasStarted) {
      if (bytes.length < 8) return "more";
      const length = bytes.readUInt32BE(0);
      const code = bytes.readUInt32BE(4);
      if (length < 8 || length > PG_MAX_STARTUP) return "stop";
      if (code === PG_CANCEL) {
        connection.protocol = "PostgreSQL";
        connection.loggedIn = false; // it asks for something, and is no session
        return "stop";
      }
      if (code === PG_SSL || code === PG_GSS) {
        connection.protocol = "PostgreSQL";
        answered((chunk) => {
          connection.encrypted = chunk[0] === 0x53 || chunk[0] === 0x47; // S or G: yes; N: no
        });
        return { skip: length };
      }
      if (code >>> 16 !== PG_VERSION_3) return "stop";
      connection.protocol = "PostgreSQL";
      hasStarted = true;
      return { skip: length };
    }
    if (bytes.length < 5) return "more";
    const length = bytes.readUInt32BE(1);
    if (length < 4) return "stop";
    if (bytes[0] === PG_TERMINATE && length === 4) seen("quit");
    return { skip: 1 + length };
  };
}

/** https://redis.io/docs/latest/develop/reference/protocol-spec/ */
function redis(connection: Watched, seen: (event: WatchedEvent) => void, first: Buffer): Reader {
  if (first[0] !== RESP_ARRAY && !REDIS_INLINE.test(first.toString("latin1", 0, 16))) return () => "stop";
  let elements = 0;
  let isFirst = false;
  let isAlone = false;
  return (bytes) => {
    const end = bytes.indexOf("\r\n");
    if (end === -1) return bytes.length > RESP_MAX_LINE ? "stop" : "more";
    const line = bytes.toString("latin1", 0, end);
    if (elements === 0) {
      const count = /^\*(\d+)$/.exec(line)?.[1];
      if (count !== undefined) {
        elements = Number(count);
        isFirst = true;
        isAlone = elements === 1;
        connection.protocol = "Redis";
      } else if (line.startsWith("*") || !/^[\x20-\x7e]*$/.test(line)) {
        return "stop";
      } else if (/^\s*quit\s*$/i.test(line)) {
        seen("quit");
      }
      return { skip: end + 2 };
    }
    const length = /^\$(\d+)$/.exec(line)?.[1];
    if (length === undefined) return "stop";
    const total = end + 2 + Number(length) + 2;
    const mayBeQuit = isFirst && Number(length) === 4;
    if (mayBeQuit && bytes.length < total) return "more";
    if (mayBeQuit && isAlone && /^quit$/i.test(bytes.toString("latin1", end + 2, end + 6))) seen("quit");
    isFirst = false;
    elements -= 1;
    return { skip: total };
  };
}

/** AMQP 0-9-1, 2.3.5: frames of a type, a channel, a size, a payload and an end. https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf */
function amqp(connection: Watched, seen: (event: WatchedEvent) => void): Reader {
  connection.protocol = "AMQP";
  let hasStarted = false;
  return (bytes) => {
    if (!hasStarted) {
      if (bytes.length < AMQP_HEADER_BYTES) return "more";
      hasStarted = true;
      return { skip: AMQP_HEADER_BYTES };
    }
    if (bytes.length < 7) return "more";
    const size = bytes.readUInt32BE(3);
    if (bytes[0] === AMQP_METHOD && size >= 4) {
      if (bytes.length < 11) return "more";
      if (bytes.readUInt32BE(7) === AMQP_CLOSE) seen("quit");
    }
    return { skip: 7 + size + 1 };
  };
}
