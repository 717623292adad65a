import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
// Not mysql2/promise, which wraps the connection again for each statement: a warm invocation and Init pay for it.
import mysql, { type Connection, type ConnectionOptions } from "mysql2";
import { namedForCertificate } from "../login/certificate-name.ts";
import { net } from "../node-runtime.ts";
import { NotRunError, StatementTooLongError } from "./database-errors.ts";
import { isAccountRefusal, serverErrorNumber } from "./error-origin.ts";
import {
  hasSessionDefaults,
  identityOf,
  identityQuery,
  readOnlyQuery,
  RESTORE_SESSION_SQL,
  saysReadOnlyServer,
  sessionOf,
  SET_SESSION_SQL,
  type ServerIdentity,
} from "./session.ts";
import { endsRows, schemaAfter, ServerStatus, type Packet } from "./server-status.ts";
import { hasUnread } from "./unread.ts";

/** Where a connection goes to, and as whom. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Connects to this address instead of looking up `host`, which TLS still checks. @default - `host` is looked up */
  readonly address?: string;
  readonly login: ConnectionOptions;
}

/** Members of mysql2 that its types lack. */
interface Driver extends Connection {
  readonly stream: Duplex;
  /** The number that the next packet of the server must have. */
  sequenceId: number;
  /** What the next packet is handed to: `row` where it is a row. */
  readonly _command?: { readonly next: unknown; readonly row?: unknown };
  handlePacket(packet?: Packet): void;
}

/**
 * One connection to the server: mysql2's, with what it does not tell. Every status flag that the server sends is kept,
 * and an error that the server sent before it read a statement is not mistaken for an answer.
 */
export class ServerConnection {
  readonly socket: Socket;
  /** Resolves when the socket is gone. */
  readonly closed: Promise<void>;
  /** Undefined where the server did not answer; then nothing proves that a statement is this connection's own. */
  identity: ServerIdentity | undefined;
  /** The statement under way. */
  running: string | undefined;
  /** False once the server no longer accepts writes, or the session is not as it was. */
  isReusable = true;
  /** By Date.now(), which goes on while the execution environment is frozen. @default - never used */
  lastUse: number | undefined;
  /** For errors: what has not come yet. */
  phase = "connection (TCP)";

  private readonly driver: Driver;
  private greeting: { readonly serverVersion: string } | undefined;
  /** COM_QUIT is written or queued. */
  isLeaving = false;
  private lost = false;
  private schema: string;
  private underWay = 0;
  /** Bytes of the longest statement that the server reads, as far as it has said. */
  private maxPacket = Infinity;
  /** Why rows are no longer read. */
  private readingEndedBy: Error | undefined;
  readonly status = new ServerStatus();
  private readonly loggedIn: Promise<void>;

  constructor(readonly target: ConnectionTarget) {
    const { host, port, database, address = host } = target;
    this.schema = database;
    this.socket = namedForCertificate(net.connect(port, address), host).setNoDelay(true).setKeepAlive(true);
    // This listener stays, because an error without a listener would end the process.
    this.socket.on("error", () => undefined).once("connect", () => (this.phase = "greeting of the server"));
    this.closed = new Promise((resolve) =>
      this.socket.once("close", () => {
        resolve();
      }),
    );
    this.driver = this.createDriver();
    this.socket.once("data", () => (this.phase = "log-in"));
    this.loggedIn = new Promise((resolve, reject) => {
      this.driver.once("connect", (greeting: ServerConnection["greeting"]) => {
        this.greeting = greeting;
        resolve();
      });
      this.driver.once("error", reject);
    });
    this.loggedIn.catch(() => undefined); // logIn() rejects with it
  }

  private createDriver(): Driver {
    const { host, port, database, login } = this.target;
    const driver = mysql.createConnection({
      ...{ host, port, database, stream: () => this.socket },
      connectTimeout: 0, // the pool limits it
      maxPreparedStatements: 1, // none is prepared, and mysql2 makes room for thousands
      // Exact values: a number that JavaScript cannot hold comes as a string, and so does a date, as the server wrote
      // it.
      ...{ supportBigNumbers: true, dateStrings: true, timezone: "Z" },
      ...login,
    }) as Driver;
    driver.on("error", () => (this.lost = true)).on("end", () => (this.lost = true));
    this.interceptPackets(driver);
    this.limitStatements(driver);
    return driver;
  }

  /** mysql2 does not tell the status flags of most packets, nor whether an error came before the statement was read. */
  private interceptPackets(driver: Driver): void {
    const handlePacket = driver.handlePacket.bind(driver);
    driver.handlePacket = (packet) => {
      if (packet === undefined || this.greeting === undefined) {
        if (packet !== undefined) readAsUtf8(packet);
        handlePacket(packet);
        return;
      }
      const isFirst = this.status.noteFlags(packet);
      if (isFirst && this.status.isUnsolicitedError(packet)) this.failBeforeExecution(packet);
      else if (this.readingEndedBy !== undefined && isRow(driver, packet)) {
        driver.sequenceId = (packet.sequenceId + packet.numPackets) % 256;
      } else handlePacket(packet);
    };
  }

  /** mysql2 sends a statement that the server does not read, and then only knows that the connection was lost. */
  private limitStatements(driver: Driver): void {
    const format = driver.format.bind(driver);
    driver.format = (sql, values, ...rest) => {
      const text = format(sql, values, ...rest);
      // A character has three bytes at the most, and the command one more.
      if (3 * text.length >= this.maxPacket && Buffer.byteLength(text) >= this.maxPacket) {
        throw new StatementTooLongError(
          `the statement has ${Buffer.byteLength(text)} bytes, and the server reads less than ${this.maxPacket} ` +
            "(max_allowed_packet): split it, or raise the server's setting",
        );
      }
      return text;
    };
  }

  /**
   * Logs in, and asks the server who it is: one round trip more, and a second one only where the session is not UTC.
   */
  async logIn(): Promise<void> {
    await this.loggedIn;
    this.phase = "answer to the first statement";
    try {
      const session = sessionOf(await this.run(identityQuery(this.serverVersion)));
      this.identity = identityOf(session);
      if (typeof session?.maxPacket === "number") this.maxPacket = session.maxPacket;
      if (session && this.identity && !hasSessionDefaults(session)) await this.run(SET_SESSION_SQL);
    } catch (error) {
      // An expired password lets nothing but a new password run. Any other refusal comes from something that speaks the
      // protocol but is not MySQL. It gets statements, but none is cancelled there.
      if (serverErrorNumber(error) === undefined || isAccountRefusal(error)) throw error;
    }
    this.status.isKnown = true;
  }

  /** The number in the server's greeting. */
  get threadId(): number {
    return this.driver.threadId;
  }

  private get serverVersion(): string {
    return this.greeting?.serverVersion ?? "";
  }

  get isLoggedIn(): boolean {
    return this.greeting !== undefined;
  }

  /** Whether it is, or will be, of use to a statement that waits. */
  get isServing(): boolean {
    return this.isLoggedIn && this.isReusable && !this.hasEnded && !this.isLeaving;
  }

  /** Whether the answer to the running statement has begun to arrive. */
  get isReceiving(): boolean {
    return this.running !== undefined && this.status.isAnswering;
  }

  /** Whether the connection has ended, as far as the event loop has read. */
  get hasEnded(): boolean {
    const { stream } = this.driver;
    return this.lost || stream.readableEnded || stream.destroyed || !stream.writable;
  }

  /**
   * As {@link hasEnded}, but asks the kernel where the connection is idle: then anything unread is the server's end.
   */
  get hasEndedUnread(): boolean {
    if (this.hasEnded || !this.isLoggedIn || this.underWay > 0) return this.hasEnded;
    return hasUnread(this.socket);
  }

  /** MySQL's server speaks first: its first packet opens a connection. */
  get hasGreeted(): boolean {
    return this.socket.bytesRead > 0;
  }

  /** As the last answer said, or undefined after an error: that has no status flags. */
  get inTransaction(): boolean | undefined {
    return this.status.isKnown ? this.status.inTransaction : undefined;
  }

  /** Whether statements stay uncommitted, since a statement turned that off: a server's own default is turned on. */
  get autocommitIsOff(): boolean {
    return this.identity !== undefined && this.status.isKnown && !this.status.autocommit;
  }

  /** Whether a statement has left DB_NAME: what comes next would read and write somewhere else. */
  get databaseIsChanged(): boolean {
    return this.schema !== this.target.database;
  }

  /** Since the last use. A connection that was never used may have been opened right before a freeze. */
  idleMs(neverUsedMs: number): number {
    // Absolute, as the clock may be set back after a thaw.
    return this.lastUse === undefined ? neverUsedMs : Math.abs(Date.now() - this.lastUse);
  }

  /** @throws NotRunError if the connection is known to have ended, or the server closed before it read the statement */
  run<Result>(sql: string, values: readonly unknown[] = []): Promise<Result> {
    return this.command((done) => {
      this.driver.query<never>(sql, [...values], (error, result) => {
        this.running = undefined;
        this.status.readResult(result);
        this.schema = schemaAfter(result) ?? this.schema;
        done(error ?? this.readingEndedBy ?? null, result);
      });
      this.running = sql;
    });
  }

  /**
   * Asks the server whether it is read only for everybody, rather than for this session by its own choice.
   *
   * @returns undefined if it does not say
   */
  async isOnReadOnlyServer(): Promise<boolean | undefined> {
    return this.run(readOnlyQuery(this.serverVersion)).then(saysReadOnlyServer, () => undefined);
  }

  /** COM_PING: a round trip that brings the status flags as well. */
  ping(): Promise<void> {
    return this.command((done) => {
      this.driver.ping(done);
    });
  }

  /**
   * COM_RESET_CONNECTION: everything that statements left in the session is gone, and what this class sets is there
   * again.
   */
  async reset(): Promise<void> {
    await this.command((done) => {
      this.driver.reset(done);
    });
    await this.run(RESTORE_SESSION_SQL);
  }

  /** Queues COM_QUIT behind a running statement. If none runs, COM_QUIT is written before this returns. */
  quit(): void {
    if (!this.hasEnded && !this.isLeaving) this.driver.end();
    this.isLeaving = true;
  }

  /**
   * Reads no more of a result that is arriving, which would take most of the CPU until its statement is cancelled. The
   * statement fails with the error.
   */
  endReading(error: Error): void {
    if (!this.isReceiving) return;
    this.readingEndedBy = error;
    this.driver.stream.pause();
  }

  /** Reads on to the end of the answer, and skips its rows. */
  skipRows(): void {
    if (this.readingEndedBy !== undefined) this.driver.stream.resume();
  }

  /** Cuts the connection off. Everything that waits for it gets the error. */
  abandon(error: Error): void {
    this.lost = true;
    const { stream } = this.driver;
    if (stream !== this.socket) stream.destroy(error);
    this.socket.destroy(error);
  }

  private command<Result>(begin: (done: (error: Error | null, result?: Result) => void) => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.hasEnded || this.isLeaving) {
        reject(new NotRunError("the connection to MySQL had ended before the statement was sent"));
        return;
      }
      this.status.beginCommand();
      begin((error, result) => {
        this.underWay -= 1;
        if (serverErrorNumber(error) !== undefined) this.status.isKnown = false;
        // null is what the types say, undefined what comes
        if (error) reject(error);
        else resolve(result as Result);
      });
      this.underWay += 1; // not where the driver has thrown, because of a value
    });
  }

  private failBeforeExecution(packet: Packet): void {
    const { message } = packet.asError("utf8");
    this.abandon(new NotRunError(`the server ended the connection before it read the statement: ${message}`));
  }
}

/**
 * The driver reads the names in a log-in's packets as CESU-8, for which iconv-lite runs its tables of all encodings in
 * each cold start. They are the server's version and plug-ins, in ASCII, and the same in UTF-8.
 */
function readAsUtf8(packet: Packet): void {
  const read = packet.readNullTerminatedString.bind(packet);
  packet.readNullTerminatedString = (encoding) => read(encoding === "cesu8" ? "utf8" : encoding);
}

function isRow({ _command: command }: Driver, packet: Packet): boolean {
  return command?.row !== undefined && command.next === command.row && !endsRows(packet);
}
