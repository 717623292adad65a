import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { net } from "../node-modules.ts";
import { Connection, type Target } from "./connection.ts";

/**
 * Sees the process's client sockets, and changes nothing that a driver could notice: no listener, no mode of the stream,
 * no property that is enumerable. `diagnostics_channel` does not see sockets of `new net.Socket()`, which pg uses.
 */

const CONNECTION = Symbol("lambda-graceful-shutdown");

interface Watched extends Socket {
  [CONNECTION]?: Connection;
}

type Connect = (this: Watched, ...args: unknown[]) => Socket;
type Init = (this: TLSSocket & Watched, socket: Watched | null | undefined, wrap: unknown) => void;

/** Sockets are pruned when twice as many as were open, but at least this many, have been added. */
const LEAST_PRUNED = 64;

export class Sockets {
  private readonly refs = new Set<WeakRef<Watched>>();
  private readonly remembered = new WeakSet<Watched>();
  private pruneAt = LEAST_PRUNED;
  private isTlsWatched = false;
  private isPaused = false;
  private readonly runtimeApi = process.env["AWS_LAMBDA_RUNTIME_API"];

  watch(): void {
    const { connect } = net.Socket.prototype as unknown as { connect: Connect };
    const onConnect = (socket: Watched, args: readonly unknown[]): void => {
      if (!this.isPaused) this.add(socket, targetOf(args));
    };
    replace(net.Socket.prototype, "connect", {
      connect(this: Watched, ...args: unknown[]): Socket {
        const result = Reflect.apply(connect, this, args);
        onConnect(this, args); // behind the call, which sets `write` back to the prototype's
        return result;
      },
    });
    // A process that ends itself, perhaps through an error. The kernel takes these writes at once.
    process.on("exit", () => {
      for (const connection of this.open()) if (connection.isEndable) close(connection);
    });
  }

  /** The connections that are open. */
  open(): Connection[] {
    const sockets = [...this.refs].flatMap((ref) => ref.deref() ?? []);
    return sockets.flatMap((socket) => (socket.destroyed ? [] : (socket[CONNECTION] ?? [])));
  }

  /** Every open client socket of JavaScript, those that are left alone as well. */
  openSockets(): Socket[] {
    return [...this.refs].flatMap((ref) => ref.deref() ?? []).filter(({ destroyed }) => !destroyed);
  }

  /** Opens a connection that is not watched. */
  connect(target: Target): Socket {
    this.isPaused = true;
    try {
      return net.connect(target as { port: number });
    } finally {
      this.isPaused = false;
    }
  }

  private add(socket: Watched, target: Target): void {
    this.remember(socket);
    const { host = "", port } = target;
    if (host.startsWith("169.254.") || `${host}:${port}` === this.runtimeApi) return;
    hide(socket, new Connection(socket, target));
    if (!this.isTlsWatched) this.watchTls(); // drivers have loaded node:tls by now
  }

  private remember(socket: Watched): void {
    if (this.remembered.has(socket)) return; // it connects again
    if (this.refs.size >= this.pruneAt) this.prune();
    this.remembered.add(socket);
    this.refs.add(new WeakRef(socket));
  }

  private prune(): void {
    for (const ref of this.refs) {
      const socket = ref.deref();
      if (socket?.destroyed === false) continue;
      this.refs.delete(ref);
      if (socket !== undefined) this.remembered.delete(socket);
    }
    this.pruneAt = Math.max(LEAST_PRUNED, 2 * this.refs.size);
  }

  /** A TLS socket over a socket that is watched takes its place. */
  private watchTls(): void {
    this.isTlsWatched = true;
    const { prototype } = process.getBuiltinModule("node:tls").TLSSocket as unknown as { prototype: { _init?: Init } };
    const { _init: init } = prototype;
    if (typeof init !== "function") return;
    const adopt = (secure: TLSSocket & Watched, plain: Watched): void => {
      const connection = plain[CONNECTION];
      if (connection === undefined) return;
      leaveAlone(plain);
      connection.socket = secure;
      this.remember(secure);
      hide(secure, connection);
    };
    replace(prototype, "_init", {
      _init(this: TLSSocket & Watched, socket: Watched | null | undefined, wrap: unknown): void {
        Reflect.apply(init, this, [socket, wrap]);
        if (socket) adopt(this, socket);
      },
    });
  }
}

function replace(owner: object, name: string, methods: object): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { ...descriptor, value: (methods as Record<string, unknown>)[name] });
}

function hide(socket: Watched, connection: Connection): void {
  for (const [name, value] of [[CONNECTION, connection] as const, ["write", write] as const, ["push", push] as const])
    Object.defineProperty(socket, name, { value, writable: true, configurable: true, enumerable: false });
}

function leaveAlone(socket: Watched): void {
  Reflect.deleteProperty(socket, CONNECTION);
  if (socket.write === write) Reflect.deleteProperty(socket, "write");
  if (socket.push === push) Reflect.deleteProperty(socket, "push");
}

function inherited<K extends "write" | "push">(socket: Socket, name: K): Socket[K] {
  return (Object.getPrototypeOf(socket) as Socket)[name];
}

/** Writes the protocol's goodbye, past the watch. */
export function close(connection: Connection): void {
  connection.close(inherited(connection.socket, "write"));
}

export function guardEnd(connection: Connection, onGoodbye: () => void): void {
  connection.guardEnd(inherited(connection.socket, "write"), onGoodbye);
}

function write(this: Watched, chunk: unknown, encoding?: unknown, done?: unknown): boolean {
  const connection = this[CONNECTION];
  if (connection?.isClosed === true) return connection.dropWrite([encoding, done], inherited(this, "push"));
  if (connection !== undefined && !connection.sent(chunk, encoding)) leaveAlone(this);
  // Each write and read passes here: a fixed name is found faster.
  return (Object.getPrototypeOf(this) as Socket).write.call(
    this,
    chunk as string,
    encoding as "utf8",
    done as () => void,
  );
}

function push(this: Watched, chunk: unknown, encoding?: unknown): boolean {
  const connection = this[CONNECTION];
  if (connection !== undefined) {
    if (chunk === null) connection.hasServerEnded = true;
    if (!connection.received(chunk)) leaveAlone(this);
    if (connection.isHidden) return true;
  }
  return (Object.getPrototypeOf(this) as Socket).push.call(this, chunk, encoding as "utf8");
}

function targetOf(args: readonly unknown[]): Target {
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args; // net.connect passes what it has normalized
  if (typeof first === "object" && first !== null) {
    const { host, port, path } = first as Target;
    return path === undefined ? { host: host ?? "localhost", port: Number(port) } : { path };
  }
  if (typeof first === "string" && !/^\d+$/.test(first)) return { path: first };
  return { host: typeof second === "string" ? second : "localhost", port: Number(first) };
}
