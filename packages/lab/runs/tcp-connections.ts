import { watchAnyProtocol } from "../mysql/protocol-watch";
import { Relay, type RelayedConnection } from "../mysql/relay";
import type { TcpServer } from "../functions/subject";
import type { Outcome } from "./outcome";

/** What became of one connection to a server that is not the lab's MySQL server. */
export interface TcpConnection {
  /** The server's name on the command line. */
  readonly server: string;
  readonly protocol: RelayedConnection["protocol"] | "unknown";
  readonly outcome: Outcome;
  /** It is encrypted, so its end message cannot be seen, and {@link outcome} is what FIN alone tells. @default false */
  readonly isHidden?: true;
  /** In words, such as `Terminate, then FIN`. */
  readonly saw: string;
}

/** The end message of each protocol, by its name in the protocol. */
export const GOODBYE = { MySQL: "COM_QUIT", PostgreSQL: "Terminate", Redis: "QUIT" } as const;

/** A relay in front of each server, which the function reaches in its place. */
export class TcpRelays {
  private constructor(private readonly relays: ReadonlyMap<string, Relay>) {}

  static async start(servers: readonly TcpServer[], record: (what: string) => void): Promise<TcpRelays> {
    const relays = new Map<string, Relay>();
    for (const { name, host, port } of servers) {
      const relay = await Relay.start({ host, port, watch: watchAnyProtocol });
      relays.set(name, relay);
      relay.on("open", ({ id }) => {
        record(`connection ${id} to ${name}`);
      });
      relay.on("quit", (connection) => {
        record(`${goodbye(connection)} to ${name} (connection ${connection.id})`);
      });
      relay.on("close", ({ id, closedBy, endedWith }) => {
        if (endedWith !== undefined)
          record(`${endedWith} of the ${closedBy ?? "function"} (${name}, connection ${id})`);
      });
    }
    return new TcpRelays(relays);
  }

  /** Where the function reaches each server, by its name. */
  get addresses(): Readonly<Record<string, { readonly host: string; readonly port: number }>> {
    return Object.fromEntries([...this.relays].map(([name, { port }]) => [name, { host: "127.0.0.1", port }]));
  }

  sever(): void {
    for (const relay of this.relays.values()) relay.sever();
  }

  async close(): Promise<void> {
    await Promise.all([...this.relays.values()].map((relay) => relay.close()));
  }

  /** Each connection with a session. PostgreSQL's requests to cancel are none. */
  connections(): readonly (TcpConnection & { readonly quitAt: number | undefined })[] {
    return [...this.relays].flatMap(([server, { connections }]) =>
      connections
        .filter(({ loggedIn }) => loggedIn)
        .map((connection) => ({
          ...{ server, protocol: connection.protocol ?? ("unknown" as const), outcome: outcomeOf(connection) },
          ...(isHidden(connection) ? { isHidden: true as const } : {}),
          saw: saw(connection),
          quitAt: connection.quitAt,
        })),
    );
  }
}

/**
 * If a protocol has an end message and it did not come, the connection is aborted, as for its server. If a protocol has
 * only FIN, FIN is enough, as for Redis, whose QUIT is deprecated.
 */
function outcomeOf({ protocol, quitAt, closedBy, endedWith, encrypted }: RelayedConnection): Outcome {
  if (quitAt !== undefined) return "closed";
  if (closedBy === undefined || closedBy === "lab") return "leaked";
  if (endedWith === "RST") return "aborted";
  if (closedBy === "server" || encrypted) return "closed";
  return protocol === "MySQL" || protocol === "PostgreSQL" ? "aborted" : "closed";
}

function isHidden({ encrypted, closedBy, endedWith }: RelayedConnection): boolean {
  return encrypted && closedBy === "function" && endedWith === "FIN";
}

function saw(connection: RelayedConnection): string {
  const { quitAt, endedWith, closedBy, encrypted, protocol } = connection;
  const by = closedBy === "server" ? " of the server" : "";
  const end = endedWith === undefined ? "silence" : `${endedWith}${by}`;
  if (quitAt !== undefined) return `${goodbye(connection)}, then ${end}`;
  if (encrypted) return `${end}; it is encrypted, so the lab cannot see how its protocol closed it`;
  return protocol === undefined || protocol === "Redis" ? end : `${end} without ${goodbye(connection)}`;
}

function goodbye({ protocol }: RelayedConnection): string {
  return protocol === undefined ? "goodbye" : GOODBYE[protocol];
}
