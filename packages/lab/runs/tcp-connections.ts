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
  /**
   * Why FIN alone does not tell how it was closed: it is encrypted, or the lab does not know its protocol.
   * @default - the lab can tell
   */
  readonly unproven?: "encryption" | "protocol";
  /** In words, such as `Terminate, then FIN`. */
  readonly saw: string;
}

/** The end message of each protocol, by its name in the protocol. */
const GOODBYE = {
  MySQL: "COM_QUIT",
  PostgreSQL: "Terminate",
  Redis: "QUIT",
  AMQP: "Connection.Close",
} as const;

/** A relay in front of each server, which the function reaches in its place. */
export class TcpRelays {
  private constructor(private readonly byName: ReadonlyMap<string, Relay>) {}

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
    return Object.fromEntries([...this.byName].map(([name, { port }]) => [name, { host: "127.0.0.1", port }]));
  }

  get relays(): readonly Relay[] {
    return [...this.byName.values()];
  }

  async close(): Promise<void> {
    await Promise.all(this.relays.map((relay) => relay.close()));
  }

  /** Each connection with a session. PostgreSQL's requests to cancel are none. */
  connections(): readonly (TcpConnection & Pick<RelayedConnection, "quitAt" | "clientPort" | "closedBy">)[] {
    return [...this.byName].flatMap(([server, { connections }]) =>
      connections
        .filter(({ loggedIn }) => loggedIn)
        .map((connection) => ({
          ...{ server, protocol: connection.protocol ?? ("unknown" as const), outcome: outcomeOf(connection) },
          ...unprovenOf(connection),
          saw: saw(connection),
          quitAt: connection.quitAt,
          clientPort: connection.clientPort,
          closedBy: connection.closedBy,
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
  if (closedBy === "server" || encrypted || protocol === undefined) return "closed";
  return protocol === "Redis" ? "closed" : "aborted";
}

function unprovenOf(connection: RelayedConnection): Pick<TcpConnection, "unproven"> {
  const { encrypted, protocol, closedBy, endedWith, quitAt } = connection;
  if (closedBy !== "function" || endedWith !== "FIN" || quitAt !== undefined) return {};
  if (encrypted) return { unproven: "encryption" };
  return protocol === undefined ? { unproven: "protocol" } : {};
}

function saw(connection: RelayedConnection): string {
  const { quitAt, endedWith, closedBy, encrypted, protocol } = connection;
  const by = closedBy === "server" ? " of the server" : "";
  const end = endedWith === undefined ? "silence" : `${endedWith}${by}`;
  if (quitAt !== undefined) return `${goodbye(connection)}, then ${end}`;
  if (encrypted) return `${end}; it is encrypted, so the lab cannot see how its protocol closed it`;
  if (protocol === undefined) return `${end}; the lab does not know this protocol`;
  return protocol === "Redis" ? end : `${end} without ${goodbye(connection)}`;
}

function goodbye({ protocol }: RelayedConnection): string {
  return protocol === undefined ? "goodbye" : GOODBYE[protocol];
}
