/** A packet of the server's, as mysql2 hands it to itself. */
export interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly sequenceId: number;
  /** More than 1 where the content is longer than 16 MB. */
  readonly numPackets: number;
  length(): number;
  asError(encoding: string): Error;
  readNullTerminatedString(encoding: string): string;
}

// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html
const OK = 0x00;
const EOF = 0xfe;
const ERR = 0xff;
const IN_TRANSACTION = 0x1;
const AUTOCOMMIT = 0x2;
const NO_BACKSLASH_ESCAPES = 0x200;

/** A row's first column, where that is long, looks like EOF but for its length (with mysql2's header of 4 bytes). */
const LONGEST_EOF = 12;

/** The status flags that the server sends with each OK and EOF. mysql2 keeps those of OK only. */
export class ServerStatus {
  /** False after an error: that has no flags, and a procedure may have done anything before it failed. */
  isKnown = true;
  private flags = 0;
  private answering = false;

  get inTransaction(): boolean {
    return (this.flags & IN_TRANSACTION) !== 0;
  }

  get autocommit(): boolean {
    return (this.flags & AUTOCOMMIT) !== 0;
  }

  /** sql_mode NO_BACKSLASH_ESCAPES: a backslash in a literal is a character like others. */
  get noBackslashEscapes(): boolean {
    return (this.flags & NO_BACKSLASH_ESCAPES) !== 0;
  }

  /** Whether the first packet of the answer to the command under way has come. */
  get isAnswering(): boolean {
    return this.answering;
  }

  beginCommand(): void {
    this.isKnown = true;
    this.answering = false;
  }

  /** @returns whether the packet is the first since the command under way began */
  noteFlags(packet: Packet): boolean {
    const { buffer, offset } = packet;
    if (endsRows(packet) && buffer[offset] === EOF) this.flags = buffer.readUInt16LE(offset + 3);
    if (this.answering) return false;
    this.answering = true;
    if (buffer[offset] === OK) this.flags = flagsOfOk(buffer, offset + 1);
    return true;
  }

  /**
   * Whether a first packet is an error that was sent before the server read the command. An answer counts on from the
   * command's packet, so its first packet has number 1; what a server sends unasked has 0. MySQL 8.0.24 and later send
   * such an error before they close a connection (4031 after `wait_timeout`, 1053 at a shutdown), MariaDB after KILL
   * (1927). The error's own number proves nothing: SIGNAL sets any.
   */
  isUnsolicitedError({ buffer, offset, sequenceId }: Packet): boolean {
    return buffer[offset] === ERR && sequenceId === 0;
  }

  /** A procedure's own status comes after those of its results. */
  readResult(result: unknown): void {
    if (!Array.isArray(result) || !Array.isArray(result[0])) return;
    const { serverStatus } = (result.at(-1) ?? {}) as { readonly serverStatus?: unknown };
    if (typeof serverStatus === "number") this.flags = serverStatus;
  }
}

/** EOF, or an error instead of further rows. */
export function endsRows(packet: Packet): boolean {
  const type = packet.buffer[packet.offset];
  return type === ERR || (type === EOF && packet.length() <= LONGEST_EOF);
}

/** Behind two numbers of variable length: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html */
function flagsOfOk(buffer: Buffer, start: number): number {
  const lengths: Readonly<Record<number, number>> = { 0xfc: 3, 0xfd: 4, 0xfe: 9 };
  const affectedRows = lengths[buffer[start] ?? 0] ?? 1;
  const insertId = lengths[buffer[start + affectedRows] ?? 0] ?? 1;
  const at = start + affectedRows + insertId;
  return at + 2 <= buffer.length ? buffer.readUInt16LE(at) : 0;
}

/** The database that a statement (USE) has changed to, as the server tells mysql2 in the statement's OK packet. */
export function schemaAfter(result: unknown): string | undefined {
  const { stateChanges } = (result ?? {}) as { readonly stateChanges?: { readonly schema?: string | null } };
  return stateChanges?.schema ?? undefined;
}
