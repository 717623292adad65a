import type { ShutdownContext } from "../hooks.ts";
import { now } from "../clock.ts";
import type { HttpServers } from "../http-server.ts";
import { GIVE_UP_MS, GIVE_UP_RESULT_MS, LAST_MS } from "../shutdown-time.ts";
import type { SharedState } from "../shutdown.ts";
import type { Connection } from "./connection.ts";
import { activeHandles, isChildProcess, isRunning } from "./active-handles.ts";
import { countNativeSockets } from "./native-sockets.ts";
import { close, guardEnd, type Sockets } from "./sockets.ts";

/** Milliseconds of silence after which a server will send no FIN: a host that is gone must not cost the budget. */
const FIN_MS = 100;

const PACE_MS = 1;

/** What became of the connections, for the line at the end. */
interface Counts {
  closed: number;
  cancelled: number;
  givenUp: number;
  [name: string]: number;
}

/** Gives the process's connections back at SIGTERM. */
export class Goodbyes {
  private readonly counts: Counts = { closed: 0, cancelled: 0, givenUp: 0 };
  /** When the goodbye was said. */
  private readonly said = new Map<Connection, number>();
  private readonly idleBefore = new Set<Connection>();
  private readonly cancelled = new Set<Connection>();
  private readonly finished = new Set<Connection>();

  constructor(
    private readonly sockets: Sockets,
    private readonly state: SharedState,
    private readonly context: ShutdownContext,
    /** Of a Web Function. @default - it is none */
    private readonly servers?: HttpServers,
  ) {}

  /** Resolves when each connection has been closed and the function's own listeners have ended, or the time is over. */
  async run(): Promise<Counts> {
    // At a small share of a CPU, no turn of the event loop may come in the last milliseconds.
    const timeIsOver = new Promise<void>((resolve) => {
      this.context.signal.addEventListener("abort", () => {
        this.giveUpAll();
        resolve();
      });
    });
    await Promise.race([this.closeAll(), timeIsOver]);
    if (this.context.remainingMs() > GIVE_UP_MS) this.countUnknown();
    return this.counts;
  }

  /** Takes some milliseconds the first time. */
  private countUnknown(): void {
    const unknown = countNativeSockets([...this.sockets.openSockets(), ...activeHandles()]);
    if (unknown > 0) this.counts["unknownSockets"] = unknown;
    else delete this.counts["unknownSockets"];
  }

  private async closeAll(): Promise<void> {
    const { remainingMs } = this.context;
    const children = activeHandles().filter(isChildProcess);
    let isWaitedFor = process.listenerCount("SIGTERM") > 1;
    this.state.onEndRequest = () => {
      isWaitedFor = false;
    };
    this.guard();
    // The function's own listeners run first, in this turn.
    await new Promise(setImmediate);
    if (this.servers !== undefined) Object.assign(this.counts, await this.servers.close(() => remainingMs() < LAST_MS));
    await this.waitForHooks();
    for (let isFirst = true, wasLate = false; ; isFirst = false) {
      await pause(isFirst ? 0 : PACE_MS);
      const { isLate } = this;
      if (isLate && !wasLate) this.countUnknown(); // at the end there may be no time
      wasLate = isLate;
      const open = new Set([...this.guard(), ...this.said.keys()]);
      const pending = [...open].filter((connection) => !this.isFinished(connection, isLate));
      if (pending.length === 0 && (isLate || !(isWaitedFor || children.some(isRunning)))) break;
      const isReading = pending.some((connection) => connection.isHidden && !this.said.has(connection));
      if (remainingMs() > (isReading ? GIVE_UP_RESULT_MS : GIVE_UP_MS)) continue;
      this.giveUpAll();
      break;
    }
  }

  /** Those that the function opens from now on as well. */
  private guard(): readonly Connection[] {
    const connections = this.sockets.open();
    for (const connection of connections) guardEnd(connection, () => this.said.set(connection, now()));
    return connections;
  }

  /** Hooks close what they know, and may need other connections for it. */
  private async waitForHooks(): Promise<void> {
    while ((this.state.run?.unsettled ?? 0) > 1 && !this.isLate) await pause(PACE_MS);
  }

  private get isLate(): boolean {
    return this.state.run?.isHalfOver !== false;
  }

  private isFinished(connection: Connection, isLate: boolean): boolean {
    const { conversation } = connection;
    if (this.finished.has(connection) || conversation === undefined || connection.isHttp) return true;
    const said = this.said.get(connection);
    if (said !== undefined) return this.hasEnded(connection, said);
    // The driver closes it.
    if (connection.isClosing) return connection.hasServerEnded || isLate;
    if (isLate && !connection.isIdle) this.cutShort(connection);
    if (this.said.has(connection)) return false;
    if (!connection.isIdle || (conversation.isInTransaction === true && !isLate)) {
      this.idleBefore.delete(connection);
      return false;
    }
    // Idle for a whole turn: a driver sends its next statement in the turn of the answer.
    if (this.idleBefore.has(connection)) this.sayGoodbye(connection);
    else this.idleBefore.add(connection);
    return false;
  }

  private hasEnded(connection: Connection, said: number): boolean {
    const hasEnded = connection.hasServerEnded || connection.socket.destroyed;
    if (!hasEnded && now() < Math.max(said, connection.quietSince) + FIN_MS) return false;
    this.finish(connection, hasEnded ? "closed" : "givenUp");
    return true;
  }

  private sayGoodbye(connection: Connection): void {
    this.said.set(connection, now());
    close(connection);
  }

  private finish(connection: Connection, result: string): void {
    this.finished.add(connection);
    for (const name of [result, connection.conversation?.name ?? ""]) this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  /** Stops a statement of PostgreSQL. Whatever loses nothing with its connection ends now. */
  private cutShort(connection: Connection): void {
    const { conversation } = connection;
    connection.readOn(); // a result that the driver does not read
    const request = conversation?.cancelRequest?.();
    if (request === undefined) {
      const isStillLoggingIn = conversation?.cancelRequest !== undefined;
      if (isStillLoggingIn || conversation?.goodbye === undefined) this.sayGoodbye(connection);
    } else if (!this.cancelled.has(connection)) {
      this.cancelled.add(connection);
      this.counts.cancelled += 1;
      const socket = this.sockets.connect(connection.target);
      socket.on("error", () => undefined).end(request);
    }
  }

  /** The server reads the goodbye when its statement has ended. */
  private giveUpAll(): void {
    for (const connection of new Set([...this.sockets.open(), ...this.said.keys()])) {
      const isClosed = this.isFinished(connection, true);
      if (isClosed) continue;
      if (!this.said.has(connection)) this.sayGoodbye(connection);
      this.finish(connection, "givenUp");
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) setImmediate(resolve);
    else setTimeout(resolve, ms);
  });
}
