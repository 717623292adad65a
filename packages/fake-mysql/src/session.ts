import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { SecureContext } from "node:tls";
import { clientHello, isTlsRequest, proveLogin, type Account, type AuthPlugin, type Proof } from "./log-in.ts";
import { CAPABILITIES, err, greeting, ok, resultSet, STATUS, type Ok, type Row } from "./packets.ts";
import type { ProcesslistEntry } from "./processlist.ts";
import { messageOf, refuse, refuseAndEnd, sqlStateOf, type Reaction } from "./reaction.ts";
import { endTransaction, execute, type SessionState } from "./statement.ts";
import { Wire, type Delivery } from "./wire.ts";

const OFFERED = Object.values(CAPABILITIES).reduce((all, one) => all | one, 0);

const COMMANDS: Readonly<Record<number, string>> = {
  0x02: "COM_INIT_DB",
  0x0c: "COM_PROCESS_KILL",
  0x0e: "COM_PING",
  0x1f: "COM_RESET_CONNECTION",
};
const COM_QUIT = 0x01;
const COM_QUERY = 0x03;

/** What goes wrong. Each part is asked when its turn comes, and `undefined` lets the server do the right thing. */
export interface Script {
  /** In the place of the greeting. */
  readonly connect?: (session: Session) => Reaction | undefined;
  /** In answer to the log-in, before the password is looked at. */
  readonly login?: (session: Session) => Reaction | undefined;
  /** Behind the OK that a log-in came to. */
  readonly loggedIn?: (session: Session) => Reaction | undefined;
  /** In answer to a statement, or to a command such as `COM_PING`. */
  readonly statement?: (statement: string, session: Session) => Reaction | undefined;
  /** System variables with other values than the server's own, for example `{ read_only: 1 }`. */
  readonly variables?: (session: Session) => Row;
}

export interface SessionServer {
  readonly script: Script;
  readonly delivery: Delivery;
  readonly account: Account;
  readonly version: string;
  readonly secureContext: SecureContext | undefined;
  readonly greetingPlugin: AuthPlugin;
  readonly cachedLogins: Set<string>;
  readonly logIns: Session[];
  readonly statements: string[];
  threadIdInGreeting(connectionId: number): number;
  refusalOfLimit(when: "before the greeting" | "behind the log-in"): Reaction | undefined;
  nextInsertId(): number;
  kill(by: Session, what: "QUERY" | "CONNECTION", connectionId: number): boolean;
}

/** What tells the servers behind one port apart. */
export interface SessionBackend {
  readonly identity: Row;
  nextId(): number;
  processlist(): readonly ProcesslistEntry[];
}

/** One connection: what the server knows of it, and its side of the conversation. Times are of `performance.now()`. */
export class Session {
  /** What CONNECTION_ID() answers, unique on its back end only. */
  readonly connectionId: number;
  /** Address and port of the client, as the processlist shows them. */
  readonly peer: string;
  readonly openedAt = performance.now();
  /** Everything it was asked, in order; commands that are no statement as `COM_PING`. */
  readonly statements: string[] = [];
  user: string | undefined;
  proof: Proof | undefined;
  encrypted = false;
  /** The name that the client asked for in TLS (SNI), or false. */
  serverName: string | false | null | undefined;
  /** The TLS session is an earlier one's. */
  resumed = false;
  quit = false;
  closedAt: number | undefined;
  /** Who ended it first. */
  endedBy: "client" | "server" | undefined;
  running: string | undefined;
  silent = false;
  readonly state: SessionState = {
    ...{ inTransaction: false, autocommit: true, backslashEscapes: true, holdsLock: false },
    ...{ database: null, readOnly: undefined },
  };

  readonly #wire: Wire;
  #deprecateEof = false;
  /** Aborted by a KILL QUERY. */
  #statement = new AbortController();
  /** A silent connection, and one whose statement sleeps, end with the server. */
  readonly #over = new AbortController();
  /** Resolves when the server has ended this connection: one listener for all of its commands. */
  readonly #ended = new Promise<undefined>((resolve) => {
    this.#over.signal.addEventListener("abort", () => {
      resolve(undefined);
    });
  });

  constructor(
    readonly server: SessionServer,
    readonly backend: SessionBackend,
    socket: Socket,
    /** 1 for the first connection that the server accepted. */
    readonly number: number,
  ) {
    this.connectionId = backend.nextId();
    this.peer = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`;
    this.#wire = new Wire(socket, () => server.delivery);
  }

  get isOpen(): boolean {
    return this.closedAt === undefined;
  }

  get loggedIn(): boolean {
    return this.proof !== undefined && this.proof !== "refused";
  }

  get processlistEntry(): ProcesslistEntry {
    const info = this.running ?? null;
    const command = info === null ? "Sleep" : "Query";
    const user = this.user ?? "unauthenticated user";
    return { id: this.connectionId, user, host: this.peer, db: this.state.database, command, time: 0, state: "", info };
  }

  async serve(): Promise<void> {
    try {
      if (await this.#logIn()) while (await this.#answerCommand());
    } finally {
      this.endedBy ??= this.#wire.isOpen ? "server" : "client";
      this.running = undefined;
      endTransaction(this.state);
      this.closedAt = performance.now();
      this.#wire.end();
    }
  }

  /** Ends it from the server's side, with a farewell in front of the FIN or without. */
  async end(code?: number): Promise<void> {
    this.endedBy ??= "server";
    if (code !== undefined) {
      this.#wire.beginExchange();
      await this.#wire.write(err(code, sqlStateOf(code), messageOf(code)));
    }
    this.#wire.end();
    this.#over.abort();
  }

  killStatement(): void {
    this.#statement.abort();
  }

  destroy(): void {
    this.#over.abort();
    this.#wire.destroy();
  }

  get #status(): number {
    const { inTransaction, autocommit, backslashEscapes } = this.state;
    const escapes = backslashEscapes ? 0 : STATUS.NO_BACKSLASH_ESCAPES;
    return (inTransaction ? STATUS.IN_TRANSACTION : 0) | (autocommit ? STATUS.AUTOCOMMIT : 0) | escapes;
  }

  async #logIn(): Promise<boolean> {
    const { server } = this;
    if (!(await this.#react(server.script.connect?.(this) ?? server.refusalOfLimit("before the greeting"), false)))
      return false;
    const scramble = Buffer.from(randomBytes(20).map((byte) => (byte % 127) + 1)); // a NUL would end it
    const capabilities = server.secureContext === undefined ? OFFERED & ~CAPABILITIES.SSL : OFFERED;
    const plugin = server.greetingPlugin;
    const threadId = server.threadIdInGreeting(this.connectionId);
    const { version } = server;
    await this.#wire.write(greeting({ version, threadId, scramble, capabilities, status: this.#status, plugin }));
    let payload = await this.#wire.read();
    if (payload !== undefined && isTlsRequest(payload) && server.secureContext !== undefined) {
      const secured = await this.#wire.secure(server.secureContext);
      this.encrypted = true;
      this.serverName = secured.serverName;
      this.resumed = secured.resumed;
      payload = await this.#wire.read();
    }
    if (payload === undefined) return false;
    const hello = clientHello(payload);
    this.user = hello.user;
    this.state.database = hello.database ?? null;
    this.#deprecateEof = (hello.capabilities & CAPABILITIES.DEPRECATE_EOF) !== 0;
    server.logIns.push(this);
    if (!(await this.#react(server.script.login?.(this), true))) return false;
    const proof = await proveLogin(hello, server.account, {
      ...{ wire: this.#wire, scramble, greetedWith: plugin },
      ...{ encrypted: this.encrypted, cached: server.cachedLogins },
    });
    if (proof === "refused") {
      const message = `Access denied for user '${hello.user}'@'${this.#address}' (using password: YES)`;
      return this.#react(refuseAndEnd(1045, message), true);
    }
    if (!(await this.#react(server.refusalOfLimit("behind the log-in"), true))) return false;
    this.proof = proof;
    await this.#acknowledge();
    return this.#react(server.script.loggedIn?.(this), true);
  }

  /** Resolves with false where the connection is over. */
  async #answerCommand(): Promise<boolean> {
    const payload = await Promise.race([this.#wire.read(), this.#ended]);
    if (this.silent) return this.#react({ kind: "silent" }, true); // not even its end reaches the server
    if (payload === undefined) return false;
    const [command = 0] = payload;
    if (command === COM_QUIT) {
      this.quit = true;
      this.endedBy ??= "client";
      return false;
    }
    const name = COMMANDS[command];
    const asked = command === COM_QUERY ? payload.subarray(1).toString().trim() : (name ?? `command ${command}`);
    this.statements.push(asked);
    this.server.statements.push(asked);
    this.#statement = new AbortController();
    this.running = asked;
    try {
      const reaction = this.server.script.statement?.(asked, this);
      if (reaction !== undefined && reaction.kind !== "wait") return await this.#react(reaction, true);
      if (reaction?.kind === "wait") await this.#pause(reaction.ms);
      if (command === COM_QUERY) return await this.#run(asked);
      if (name === undefined) return await this.#react(refuse(1235), true);
      if (name === "COM_RESET_CONNECTION") endTransaction(this.state);
      if (name === "COM_INIT_DB") this.state.database = payload.subarray(1).toString();
      if (name === "COM_PROCESS_KILL") this.server.kill(this, "CONNECTION", payload.readUInt32LE(1));
      return await this.#acknowledge();
    } finally {
      this.running = undefined;
    }
  }

  async #run(sql: string): Promise<boolean> {
    const reply = execute(sql, this.state, {
      ...{
        connectionId: this.connectionId,
        user: this.user ?? "",
        address: this.#address,
        variables: this.#variables(),
      },
      processlist: () => this.backend.processlist(),
      kill: (what, connectionId) => this.server.kill(this, what, connectionId),
      nextInsertId: () => this.server.nextInsertId(),
    });
    switch (reply.kind) {
      case "ok":
        return this.#acknowledge(reply);
      case "rows": {
        await this.#pause(reply.sleepMs);
        // SLEEP() answers 1 where it was interrupted, and is no error.
        const interrupted = this.#statement.signal.aborted ? { [reply.names[0] ?? ""]: 1 } : {};
        const rows = reply.rows.map((row) => ({ ...row, ...interrupted }));
        return this.#answer(reply.names, rows);
      }
      default:
        return this.#react(reply, true);
    }
  }

  #variables(): Row {
    const readOnly = this.state.readOnly === undefined ? 0 : 1;
    return {
      ...{ version: this.server.version, version_comment: "MySQL Community Server - GPL", ...this.backend.identity },
      ...{ read_only: readOnly, super_read_only: readOnly, innodb_read_only: readOnly, transaction_read_only: 0 },
      ...{ autocommit: this.state.autocommit ? 1 : 0, max_allowed_packet: 67_108_864, wait_timeout: 28_800 },
      ...{ time_zone: "+00:00", system_time_zone: "UTC", pseudo_thread_id: this.connectionId },
      ...this.server.script.variables?.(this),
    };
  }

  get #address(): string {
    return this.peer.slice(0, this.peer.lastIndexOf(":"));
  }

  async #acknowledge(fields: Omit<Ok, "status"> = {}): Promise<boolean> {
    await this.#wire.write(ok({ ...fields, status: this.#status }));
    return true;
  }

  async #answer(names: readonly string[], rows: readonly Row[]): Promise<boolean> {
    await this.#wire.write(...resultSet(names, rows, this.#status, this.#deprecateEof));
    return true;
  }

  /** Resolves with false where the connection is over with it. */
  async #react(reaction: Reaction | undefined, greeted: boolean): Promise<boolean> {
    switch (reaction?.kind) {
      case undefined:
        return true;
      case "wait":
        await this.#pause(reaction.ms);
        return true;
      case "answer":
        return this.#answer(Object.keys(reaction.rows[0] ?? {}), reaction.rows);
      case "refuse":
        await this.#wire.write(err(reaction.code, greeted ? reaction.sqlState : undefined, reaction.message));
        if (reaction.thenEnds || !this.loggedIn) this.endedBy ??= "server";
        return !reaction.thenEnds && this.loggedIn;
      case "farewell":
        this.endedBy ??= "server";
        this.#wire.beginExchange();
        await this.#wire.write(err(reaction.code, sqlStateOf(reaction.code), reaction.message));
        return false;
      case "silent":
        this.silent = true;
        await this.#ended;
        return false;
      case "hang up":
        this.endedBy ??= "server";
        return false;
      case "reset":
        this.endedBy ??= "server";
        this.#wire.reset();
        return false;
    }
  }

  /** As long as a statement takes, unless it is killed. */
  async #pause(ms: number): Promise<void> {
    if (ms === 0) return;
    const signal = AbortSignal.any([this.#statement.signal, this.#over.signal]);
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }
}
