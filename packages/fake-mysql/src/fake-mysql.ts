import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import tls, { type SecureContext } from "node:tls";
import type { ServerCertificate } from "./certificates.ts";
import type { Account, AuthPlugin } from "./log-in.ts";
import type { Row } from "./packets.ts";
import type { ProcesslistEntry } from "./processlist.ts";
import { refuseAndEnd, type Reaction } from "./reaction.ts";
import { Session, type Script, type SessionServer } from "./session.ts";
import type { Delivery } from "./wire.ts";

export type { Script } from "./session.ts";

export interface FakeMysqlConfig {
  /** @default "8.4.6" */
  readonly version?: string;
  /** How the one account logs in. @default "caching_sha2_password" */
  readonly plugin?: AuthPlugin;
  /** The plugin that the greeting names; where it is not the account's, the server switches. @default - the account's */
  readonly greetingPlugin?: AuthPlugin;
  /** Passwords in clear text that are as good as the account's own, such as IAM tokens. @default none */
  readonly token?: RegExp;
  /** @default - it does not offer TLS */
  readonly certificate?: ServerCertificate;
  /** Servers behind the one port. Connections alternate between them. @default 1 */
  readonly backends?: number;
  /** The thread number of the greeting, by CONNECTION_ID(): a proxy gives another. @default - the same number */
  readonly threadIdInGreeting?: (connectionId: number) => number;
  /** Connections that it lets in, and the error of others: 1040 instead of the greeting, else behind the log-in. @default - any */
  readonly limit?: { readonly connections: number; readonly code: 1040 | 1203 | 1226 };
  /** @default "answers" */
  readonly delivery?: Delivery;
  /** @default - one that is free */
  readonly port?: number;
  /** Where it listens. @default "127.0.0.1" */
  readonly host?: string;
  /** @default - nothing goes wrong */
  readonly script?: Script;
}

export interface RecordedKill {
  readonly what: "QUERY" | "CONNECTION";
  readonly by: Session;
  readonly backend: Backend;
  readonly connectionId: number;
  readonly hit: "own" | "another client's" | "nobody";
}

/** One MySQL server with its own numbering and its own processlist. */
export class Backend {
  readonly sessions: Session[] = [];
  readonly others = new Set<number>();
  /** What tells it from the other servers behind the port. */
  readonly identity: Row;
  #lastId: number;

  constructor(readonly index: number) {
    // The same number may be another client's on another server.
    this.#lastId = 7 + index * 100;
    this.identity = { server_uuid: randomUUID(), server_id: index + 1, hostname: `mysql-${index + 1}`, port: 3306 };
  }

  nextId(): number {
    return (this.#lastId += 1);
  }

  processlist(): readonly ProcesslistEntry[] {
    const own = this.sessions.filter(({ isOpen }) => isOpen).map(({ processlistEntry }) => processlistEntry);
    const others = [...this.others].map((id): ProcesslistEntry => {
      const info = "SELECT SLEEP(1000)";
      return { id, user: "other", host: "10.0.0.99:40000", db: "other", command: "Query", time: 1, state: "", info };
    });
    return [...own, ...others];
  }
}

/**
 * The server half of the MySQL protocol, which does what a script says instead of what it should. It has no
 * tables and no locks, and answers the few statements that a function's connection management needs. It writes down
 * everything that it was asked, so that a test can tell what became of a client.
 *
 * @example
 * const server = await FakeMysql.start();
 * server.script = { statement: (sql) => (sql.startsWith("INSERT") ? farewell(4031) : undefined) };
 */
export class FakeMysql implements SessionServer {
  script: Script;
  delivery: Delivery;
  /** The one account; its password may change while connections are open. */
  account: Account;
  readonly logIns: Session[] = [];
  /** Every statement and command of every connection, in order. */
  readonly statements: string[] = [];
  readonly kills: RecordedKill[] = [];
  /** Users whose password a full log-in has proven: caching_sha2_password is fast for them. */
  readonly cachedLogins = new Set<string>();
  readonly database = "lab";
  readonly host: string;
  readonly version: string;
  readonly backends: readonly Backend[];
  readonly secureContext: SecureContext | undefined;
  readonly #config: FakeMysqlConfig;
  readonly #serving = new Set<Promise<void>>();
  readonly #listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    this.#accept(socket);
  });
  #accepted = 0;
  #lastInsertId = 0;

  private constructor(config: FakeMysqlConfig) {
    const { version = "8.4.6", plugin = "caching_sha2_password", certificate, backends = 1 } = config;
    this.#config = config;
    this.version = version;
    this.host = config.host ?? "127.0.0.1";
    this.script = config.script ?? {};
    this.delivery = config.delivery ?? "answers";
    this.account = { user: "lab", password: randomBytes(16).toString("hex"), plugin, token: config.token };
    this.backends = Array.from({ length: backends }, (_, index) => new Backend(index));
    if (certificate === undefined) return;
    const [cert, key] = [certificate.certificateFile, certificate.keyFile].map((file) => readFileSync(file));
    this.secureContext = tls.createSecureContext({ cert, key });
  }

  static async start(config: FakeMysqlConfig = {}): Promise<FakeMysql> {
    const server = new FakeMysql(config);
    server.#listener.listen(config.port ?? 0, server.host);
    await once(server.#listener, "listening");
    return server;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Every connection there ever was, in order. */
  get sessions(): readonly Session[] {
    return this.backends.flatMap((backend) => backend.sessions).sort((one, other) => one.openedAt - other.openedAt);
  }

  get openSessions(): readonly Session[] {
    return this.sessions.filter(({ isOpen }) => isOpen);
  }

  get greetingPlugin(): AuthPlugin {
    return this.#config.greetingPlugin ?? this.account.plugin;
  }

  threadIdInGreeting(connectionId: number): number {
    return this.#config.threadIdInGreeting?.(connectionId) ?? connectionId;
  }

  /** What a connection gets that is one too many; asked for after that one has been counted. */
  refusalOfLimit(when: "before the greeting" | "behind the log-in"): Reaction | undefined {
    const { limit } = this.#config;
    if (limit === undefined || this.openSessions.length <= limit.connections) return undefined;
    return (limit.code === 1040) === (when === "before the greeting") ? refuseAndEnd(limit.code) : undefined;
  }

  nextInsertId(): number {
    return (this.#lastInsertId += 1);
  }

  /** The connections of now have a reader at their other end, which refuses writes; new ones reach the writer. */
  failOver(code: 1290 | 1792 | 1836 = 1290): void {
    for (const session of this.openSessions) session.state.readOnly = code;
  }

  /**
   * Ends every connection that runs nothing: with a farewell in front of the FIN, as MySQL 8.0.24 and later do, or
   * without.
   */
  async endIdle(code?: number): Promise<void> {
    const idle = this.openSessions.filter(({ running }) => running === undefined);
    await Promise.all(idle.map((session) => session.end(code)));
  }

  /** The connections of now get no answer any more, and no FIN, as when the way to the server has gone. */
  silence(): void {
    for (const session of this.openSessions) session.silent = true;
  }

  /** Another client's statement on one of the servers, with a thread number that the function has on another. */
  addOtherClient({ backend, connectionId }: { readonly backend: number; readonly connectionId: number }): void {
    this.backends[backend]?.others.add(connectionId);
  }

  /** Runs a KILL on the server that it reached: a number means a thread of that server. */
  kill(by: Session, what: RecordedKill["what"], connectionId: number): boolean {
    const backend = this.backends.find(({ sessions }) => sessions.includes(by));
    if (backend === undefined) throw new RangeError("a connection of another server");
    const own = backend.sessions.find((session) => session.isOpen && session.connectionId === connectionId);
    const hit = own !== undefined ? "own" : backend.others.has(connectionId) ? "another client's" : "nobody";
    this.kills.push({ what, by, backend, connectionId, hit });
    own?.killStatement();
    if (what === "CONNECTION") void own?.end();
    return hit !== "nobody";
  }

  refuseConnections(): void {
    this.#listener.close();
  }

  /** Ends every connection without a word. */
  async close(): Promise<void> {
    const closed = this.#listener.listening ? once(this.#listener, "close") : undefined;
    this.#listener.close();
    for (const session of this.openSessions) session.destroy();
    await Promise.all(this.#serving);
    await closed;
  }

  #accept(socket: net.Socket): void {
    const backend = this.backends[this.#accepted % this.backends.length];
    this.#accepted += 1;
    if (backend === undefined) throw new RangeError("a fake server needs one back end at least");
    const session = new Session(this, backend, socket, this.#accepted);
    backend.sessions.push(session);
    const serving = session.serve().finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }
}
