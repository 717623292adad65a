import { now } from "../clock.ts";
import type { Conversation } from "./conversation.ts";
import { FrameReader } from "./frames.ts";

/** https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html */
const CLIENT_COMPRESS = 1 << 5;
const CLIENT_SSL = 1 << 11;
const CLIENT_DEPRECATE_EOF = 1 << 24;
const CLIENT_ZSTD = 1 << 26;

const IN_TRANSACTION = 0x1;
const MORE_RESULTS = 0x8;
const CURSOR_EXISTS = 0x40;

const COM_QUIT = 0x01;
const COM_FIELD_LIST = 0x04;
const COM_STATISTICS = 0x09;
const COM_CHANGE_USER = 0x11;
const COM_STMT_PREPARE = 0x16;
const COM_STMT_FETCH = 0x1c;
/** COM_STMT_SEND_LONG_DATA and COM_STMT_CLOSE. */
const WITHOUT_ANSWER: readonly number[] = [0x18, 0x19];

const OK = 0x00;
const LOCAL_INFILE = 0xfb;
const EOF = 0xfe;
const ERR = 0xff;

/** The greeting has its capabilities behind the version's text. */
const PACKET = { headerBytes: 4, headBytes: 112, length: (bytes: Buffer, at: number) => readLength(bytes, at) + 4 };
const COMPRESSED = { headerBytes: 7, headBytes: 7, length: (bytes: Buffer, at: number) => readLength(bytes, at) + 7 };

/** Three bytes. Every row of a result passes here: `readUIntLE` takes several times as long. */
function readLength(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
}

/** Milliseconds without bytes after which a compressed answer is taken for complete. Its packets are not read. */
const QUIET_MS = 20;

/** MySQL and MariaDB: which statements have no complete answer yet. */
export class MysqlConversation implements Conversation {
  readonly name = "mysql";
  isInTransaction = false;
  isClosing = false;
  startsTls = false;
  private phase: "greeting" | "login" | "commands" | "compressed" = "greeting";
  private serverFlags = 0;
  private flags = 0;
  /** Commands without a complete answer. */
  private readonly commands: number[] = [];
  private step: "first" | "definitions" | "columns" | "rows" = "first";
  private packetsLeft = 0;
  private quietSince = 0;
  private isAwaited = false;
  private client = new FrameReader(PACKET, (bytes, at, length) => {
    this.sentPacket(bytes, at + 4, length - 4, bytes[at + 3]);
  });
  private server = new FrameReader(PACKET, (bytes, at, length) => {
    this.receivedPacket(bytes, at + 4, length - 4);
  });

  get isBusy(): boolean {
    if (this.phase === "compressed")
      return this.isAwaited || !this.server.isBetweenFrames || now() < this.quietSince + QUIET_MS;
    return this.phase !== "commands" || this.commands.length > 0 || !this.client.isBetweenFrames;
  }

  goodbye(): Buffer {
    return Buffer.from(this.phase === "compressed" ? "050000000000000100000001" : "0100000001", "hex");
  }

  sent(chunk: Buffer): void {
    this.isAwaited = true;
    this.client.read(chunk);
  }

  received(chunk: Buffer): void {
    this.isAwaited = false;
    this.quietSince = this.phase === "compressed" ? now() : 0;
    this.server.read(chunk);
  }

  private sentPacket(bytes: Buffer, at: number, length: number, sequence: number | undefined): void {
    if (this.phase === "login" && this.flags === 0 && length >= 32) {
      const flags = bytes.readUInt32LE(at);
      if (length === 32 && (flags & CLIENT_SSL) !== 0) this.startsTls = true;
      else this.flags = flags & this.serverFlags;
    }
    if (this.phase !== "commands" || sequence !== 0) return;
    const command = bytes[at] ?? 0;
    if (command === COM_QUIT) this.isClosing = true;
    if (command === COM_QUIT || WITHOUT_ANSWER.includes(command)) return;
    this.commands.push(command);
    if (this.commands.length === 1) this.expectAnswer();
  }

  private receivedPacket(bytes: Buffer, at: number, length: number): void {
    if (this.phase === "commands") this.answer(bytes, at, length);
    else if (this.phase === "greeting") this.greet(bytes, at, length);
    else if (bytes[at] === OK) this.logIn();
  }

  private greet(bytes: Buffer, at: number, length: number): void {
    const flagsAt = bytes.indexOf(0, at + 1) + 1 + 4 + 8 + 1;
    if (flagsAt + 7 > Math.min(bytes.length, at + length)) return; // an error in place of the greeting
    this.serverFlags = bytes.readUInt16LE(flagsAt) | (bytes.readUInt16LE(flagsAt + 5) << 16);
    this.phase = "login";
  }

  private logIn(): void {
    const isCompressed = (this.flags & (CLIENT_COMPRESS | CLIENT_ZSTD)) !== 0;
    this.phase = isCompressed ? "compressed" : "commands";
    if (!isCompressed) return;
    this.client = new FrameReader(COMPRESSED, () => undefined);
    this.server = new FrameReader(COMPRESSED, () => undefined);
  }

  private expectAnswer(): void {
    this.step = this.commands[0] === COM_STMT_FETCH ? "rows" : "first";
  }

  private complete(): void {
    this.commands.shift();
    this.expectAnswer();
  }

  private answer(bytes: Buffer, at: number, length: number): void {
    if (this.commands.length === 0) return; // unasked, such as the error in front of a server's FIN
    const first = bytes[at];
    if (first === ERR) this.complete();
    else if (this.step === "first") this.firstPacket(bytes, at, length);
    else if (this.step === "rows") {
      if (first === EOF && length < (this.hasEof ? 9 : 0xffffff)) this.endResult(this.statusOf(bytes, at));
    } else if ((this.packetsLeft -= 1) === 0) {
      const isCursor = this.hasEof && (this.statusOf(bytes, at) & CURSOR_EXISTS) !== 0;
      if (this.step === "definitions" || isCursor) this.complete();
      else this.step = "rows";
    }
  }

  private firstPacket(bytes: Buffer, at: number, length: number): void {
    const first = bytes[at] ?? ERR;
    const [command] = this.commands;
    if (command === COM_STATISTICS) this.complete();
    else if (command === COM_FIELD_LIST || command === COM_CHANGE_USER) {
      if (first === (command === COM_FIELD_LIST ? EOF : OK)) this.complete();
    } else if (command === COM_STMT_PREPARE) {
      const groups = [bytes.readUInt16LE(at + 5), bytes.readUInt16LE(at + 7)].filter((count) => count > 0);
      this.packetsLeft = groups.reduce((sum, count) => sum + count + Number(this.hasEof), 0);
      if (this.packetsLeft === 0) this.complete();
      else this.step = "definitions";
    } else if (first === OK || first === EOF)
      this.endResult(first === OK ? okStatus(bytes, at) : this.statusOf(bytes, at));
    else if (first !== LOCAL_INFILE) this.expectColumns(bytes, at, length);
  }

  private expectColumns(bytes: Buffer, at: number, length: number): void {
    const next = afterInteger(bytes, at);
    const columns = next === at + 1 ? (bytes[at] ?? 0) : bytes.readUInt16LE(at + 1);
    // MariaDB leaves definitions out that the client has cached, and says so in one more byte.
    const areDefined = length === next - at || bytes[next] !== 0;
    this.packetsLeft = (areDefined ? columns : 0) + Number(this.hasEof);
    this.step = this.packetsLeft === 0 ? "rows" : "columns";
  }

  private endResult(status: number): void {
    this.isInTransaction = (status & IN_TRANSACTION) !== 0;
    if ((status & MORE_RESULTS) === 0) this.complete();
    else this.step = "first";
  }

  private get hasEof(): boolean {
    return (this.flags & CLIENT_DEPRECATE_EOF) === 0;
  }

  private statusOf(bytes: Buffer, at: number): number {
    return this.hasEof ? readStatus(bytes, at + 3) : okStatus(bytes, at);
  }
}

/** Behind the affected rows and the insert id. */
function okStatus(bytes: Buffer, at: number): number {
  return readStatus(bytes, afterInteger(bytes, afterInteger(bytes, at + 1)));
}

function readStatus(bytes: Buffer, at: number): number {
  return at + 2 > bytes.length ? 0 : bytes.readUInt16LE(at);
}

/** The offset behind a length-encoded integer. */
function afterInteger(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  return at + (first < 0xfb ? 1 : first === 0xfc ? 3 : first === 0xfd ? 4 : 9);
}
