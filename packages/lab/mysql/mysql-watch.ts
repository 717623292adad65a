import type { ProtocolWatch, Watched, WatchedEvent } from "./relayed-connection";

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const CLIENT_SSL = 0x800;
const CLIENT_COMPRESS = 0x20;
const CLIENT_ZSTD_COMPRESSION = 0x4000000;
const SSL_REQUEST_LENGTH = 32;
const PROTOCOL_10 = 10;
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html
const OK_PACKET = 0x00;
const ERR_PACKET = 0xff;
const COM_QUIT = Buffer.from([0x01]);
// The whole plain packet: what is this short is put into a compressed one as it is.
const COMPRESSED_QUIT = Buffer.from([0x01, 0x00, 0x00, 0x00, 0x01]);

export function watchMysql(connection: Watched, seen: (event: WatchedEvent) => void): ProtocolWatch {
  connection.protocol = "MySQL";
  // The client's first packet is its log-in, or the request for TLS that goes before it.
  const commands = new PacketReader(5, (packet) => {
    if (connection.loggedIn) {
      if (isQuit(packet)) seen("quit");
      return;
    }
    connection.loggedIn = true;
    const capabilities = packet.firstBytes.length < 4 ? 0 : packet.firstBytes.readUInt32LE();
    connection.encrypted = packet.length === SSL_REQUEST_LENGTH && (capabilities & CLIENT_SSL) !== 0;
    if (connection.encrypted) for (const reader of [commands, answers]) reader.stop();
    if ((capabilities & (CLIENT_COMPRESS | CLIENT_ZSTD_COMPRESSION)) !== 0) commands.expectCompression();
  });
  let isGreeted = false;
  const answers = new PacketReader(256, ({ firstBytes }) => {
    const [kind] = firstBytes;
    if (!isGreeted) {
      isGreeted = true;
      connection.threadId = readThreadId(firstBytes);
      seen("open");
    } else if (kind === OK_PACKET) {
      answers.stop();
    } else if (kind === ERR_PACKET) {
      answers.stop();
      commands.stop();
      connection.loggedIn = false;
      seen("refused");
    }
  });
  return { fromFunction: commands.read.bind(commands), fromServer: answers.read.bind(answers) };
}

interface PacketStart {
  /** Of the payload. */
  readonly length: number;
  /** 0 begins a command: continuations, the log-in and a file's contents count on from there. */
  readonly sequence: number;
  readonly compressed: boolean;
  /** Of the payload, at most as many as the reader was asked for. */
  readonly firstBytes: Buffer;
}

/**
 * Finds where packets begin in one direction of a MySQL connection. It keeps a header and the first bytes of a payload,
 * never the payload: packets of megabytes pass without being held.
 */
class PacketReader {
  #start = Buffer.alloc(0);
  #toSkip = 0;
  #compression: "none" | "expected" | "on" = "none";
  #stopped = false;

  constructor(
    private readonly bytesWanted: number,
    private readonly onPacket: (packet: PacketStart) => void,
  ) {}

  stop(): void {
    this.#stopped = true;
  }

  /** The log-in goes on in plain packets; compressed ones, with their longer header, begin with the first command. */
  expectCompression(): void {
    this.#compression = "expected";
  }

  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      const skipped = Math.min(this.#toSkip, chunk.length - at);
      this.#toSkip -= skipped;
      at += skipped;
      const taken = chunk.subarray(at, at + this.#missing());
      at += taken.length;
      this.#start = Buffer.concat([this.#start, taken]);
      if (this.#missing() === 0) this.#packetBegan();
    }
  }

  /** How many bytes are wanted next: first those of the header, which tells how many the payload has. */
  #missing(): number {
    if (this.#start.length < 4) return 4 - this.#start.length;
    if (this.#compression === "expected" && this.#start[3] === 0) this.#compression = "on";
    return this.#headerLength() + Math.min(this.#start.readUIntLE(0, 3), this.bytesWanted) - this.#start.length;
  }

  #headerLength(): number {
    return this.#compression === "on" ? 7 : 4;
  }

  #packetBegan(): void {
    const length = this.#start.readUIntLE(0, 3);
    const sequence = this.#start.readUInt8(3);
    const firstBytes = this.#start.subarray(this.#headerLength());
    this.#start = Buffer.alloc(0);
    this.#toSkip = length - firstBytes.length;
    this.onPacket({ length, sequence, compressed: this.#compression === "on", firstBytes });
  }
}

/** Only a command can be COM_QUIT; the same bytes inside a statement or in a continued packet are none. */
function isQuit({ length, sequence, compressed, firstBytes }: PacketStart): boolean {
  const quit = compressed ? COMPRESSED_QUIT : COM_QUIT;
  return sequence === 0 && length === quit.length && firstBytes.equals(quit);
}

/** Protocol::HandshakeV10: version, the server's version ending in NUL, thread id. Anything else is a refusal. */
function readThreadId(greeting: Buffer): number | undefined {
  if (greeting[0] !== PROTOCOL_10) return undefined;
  const versionEnd = greeting.indexOf(0, 1);
  if (versionEnd === -1 || versionEnd + 5 > greeting.length) return undefined;
  return greeting.readUInt32LE(versionEnd + 1);
}
