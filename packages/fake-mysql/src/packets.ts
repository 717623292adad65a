/**
 * Packets of the server half of the MySQL protocol. mysql2's classes can not write them: its greeting names one plugin,
 * it has no server side of TLS, and its package does not export them.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
 */

/** Capabilities that this server offers, or looks for in what the client offers. */
export const CAPABILITIES = {
  ...{ LONG_PASSWORD: 0x1, FOUND_ROWS: 0x2, LONG_FLAG: 0x4, CONNECT_WITH_DB: 0x8, PROTOCOL_41: 0x200 },
  ...{ INTERACTIVE: 0x400, SSL: 0x800, TRANSACTIONS: 0x2000, SECURE_CONNECTION: 0x8000, MULTI_RESULTS: 0x20000 },
  ...{ PLUGIN_AUTH: 0x80000, CONNECT_ATTRS: 0x100000, PLUGIN_AUTH_LENENC_CLIENT_DATA: 0x200000 },
  ...{ SESSION_TRACK: 0x800000, DEPRECATE_EOF: 0x1000000 },
} as const;

export const STATUS = {
  IN_TRANSACTION: 0x1,
  AUTOCOMMIT: 0x2,
  NO_BACKSLASH_ESCAPES: 0x200,
  SESSION_STATE_CHANGED: 0x4000,
} as const;

const UTF8MB4 = 255;
const BINARY = 63;
const TYPE_VAR_STRING = 0xfd;
const TYPE_LONGLONG = 0x08;
const TYPE_DATETIME = 0x0c;
const DATETIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/;
const NUL = Buffer.of(0);

export type Value = string | number | bigint | null;

/** A column's name and value, in the order of the statement. */
export type Row = Readonly<Record<string, Value>>;

export function integer(value: number, bytes: number): Buffer {
  const written = Buffer.alloc(bytes);
  written.writeUIntLE(value, 0, bytes);
  return written;
}

function lengthCoded(value: number): Buffer {
  if (value < 251) return integer(value, 1);
  return value < 0x10000
    ? Buffer.concat([Buffer.of(0xfc), integer(value, 2)])
    : Buffer.concat([Buffer.of(0xfd), integer(value, 3)]);
}

function lengthCodedString(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([lengthCoded(bytes.length), bytes]);
}

export function greeting(fields: {
  readonly version: string;
  readonly threadId: number;
  readonly scramble: Buffer;
  readonly capabilities: number;
  readonly status: number;
  readonly plugin: string;
}): Buffer {
  const { version, threadId, scramble, capabilities, status, plugin } = fields;
  return Buffer.concat([
    ...[Buffer.of(10), Buffer.from(version), NUL, integer(threadId, 4), scramble.subarray(0, 8), NUL],
    ...[integer(capabilities & 0xffff, 2), integer(UTF8MB4, 1), integer(status, 2), integer(capabilities >>> 16, 2)],
    ...[integer(scramble.length + 1, 1), Buffer.alloc(10), scramble.subarray(8), NUL, Buffer.from(plugin), NUL],
  ]);
}

export interface Ok {
  /** @default 0 */
  readonly affectedRows?: number;
  /** @default 0 */
  readonly insertId?: number;
  readonly status: number;
  /** A system variable that the statement has set, with its new value. @default none */
  readonly changed?: readonly [name: string, value: string] | undefined;
}

/** OK_Packet; with `header` 0xfe it ends rows for a client that wants no EOF packets. */
export function ok({ affectedRows = 0, insertId = 0, status, changed }: Ok, header: 0x00 | 0xfe = 0x00): Buffer {
  const flags = changed === undefined ? status : status | STATUS.SESSION_STATE_CHANGED;
  const start = [Buffer.of(header), lengthCoded(affectedRows), lengthCoded(insertId), integer(flags, 2), integer(0, 2)];
  if (changed === undefined) return Buffer.concat(start);
  const variable = Buffer.concat(changed.map(lengthCodedString));
  return Buffer.concat([
    ...[...start, lengthCodedString("")],
    lengthCodedString(Buffer.concat([Buffer.of(0), lengthCodedString(variable)])),
  ]);
}

/** ERR_Packet. Before the log-in a server leaves the SQL state out. */
export function err(code: number, sqlState: string | undefined, message: string): Buffer {
  const state = sqlState === undefined ? "" : `#${sqlState}`;
  return Buffer.concat([Buffer.of(0xff), integer(code, 2), Buffer.from(state + message)]);
}

function eof(status: number): Buffer {
  return Buffer.concat([Buffer.of(0xfe), integer(0, 2), integer(status, 2)]);
}

export function authSwitch(plugin: string, scramble: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0xfe), Buffer.from(plugin), NUL, scramble, NUL]);
}

export function authMoreData(data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x01), data]);
}

export function resultSet(
  names: readonly string[],
  rows: readonly Row[],
  status: number,
  deprecateEof: boolean,
): readonly Buffer[] {
  return [
    lengthCoded(names.length),
    ...names.map((name) => columnDefinition(name, rows[0]?.[name] ?? null)),
    ...(deprecateEof ? [] : [eof(status)]),
    ...rows.map((row) => Buffer.concat(names.map((name) => textValue(row[name] ?? null)))),
    deprecateEof ? ok({ status }, 0xfe) : eof(status),
  ];
}

function textValue(value: Value): Buffer {
  return value === null ? Buffer.of(0xfb) : lengthCodedString(String(value));
}

/** The column's type follows from its first value. */
function columnDefinition(name: string, sample: Value): Buffer {
  const type =
    typeof sample === "number" || typeof sample === "bigint"
      ? TYPE_LONGLONG
      : DATETIME.test(sample ?? "")
        ? TYPE_DATETIME
        : TYPE_VAR_STRING;
  const characterSet = type === TYPE_VAR_STRING ? UTF8MB4 : BINARY;
  return Buffer.concat([
    ...["def", "", "", "", name, name].map(lengthCodedString),
    ...[Buffer.of(0x0c), integer(characterSet, 2), integer(1024, 4), integer(type, 1), integer(0, 2)],
    ...[integer(type === TYPE_DATETIME ? 3 : 0, 1), integer(0, 2)],
  ]);
}

/** Reads the fields of one packet, from its first byte on. */
export class PacketFields {
  #at = 0;

  constructor(private readonly payload: Buffer) {}

  integer(bytes: number): number {
    const value = this.payload.readUIntLE(this.#at, bytes);
    this.#at += bytes;
    return value;
  }

  bytes(length: number): Buffer {
    const found = this.payload.subarray(this.#at, this.#at + length);
    this.#at += length;
    return found;
  }

  /** Up to a NUL, or to the packet's end. */
  text(): string {
    const end = this.payload.indexOf(0, this.#at);
    const found = this.bytes((end === -1 ? this.payload.length : end) - this.#at).toString();
    this.#at += 1;
    return found;
  }

  lengthCodedBytes(): Buffer {
    const first = this.integer(1);
    return this.bytes(first < 251 ? first : this.integer(first === 0xfc ? 2 : 3));
  }
}
