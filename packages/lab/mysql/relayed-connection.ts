/** One connection of the function's, as the relay saw it pass. Times are `performance.now()` milliseconds. */
export interface RelayedConnection {
  readonly id: number;
  /** The function's own end, as its process sees it. @default - the function closed it before the relay accepted it */
  readonly clientPort?: number | undefined;
  /**
   * What `CONNECTION_ID()` answers, read from the server's greeting; absent when it refused ("Too many connections").
   */
  readonly threadId: number | undefined;
  readonly openedAt: number;
  /**
   * Its log-in has passed, or the request for TLS before it, and was not seen to be refused. Others the server gives up
   * after its `connect_timeout`.
   */
  readonly loggedIn: boolean;
  /** As far as the watch has recognized it. @default - not recognized yet */
  readonly protocol?: Protocol;
  /** When the protocol's end message passed, which makes a close clean: COM_QUIT, Terminate, QUIT, Connection.Close. */
  readonly quitAt: number | undefined;
  /** With TLS up to the server, COM_QUIT cannot be seen: only the server's Aborted_clients tells a clean close then. */
  readonly encrypted: boolean;
  /** What became of TLS whose other end is the relay, which sees COM_QUIT. @default - the function asked for none */
  readonly tls?: "at the relay" | "failed";
  /**
   * When the first side ended it. A connection that outlives its environment stays open here, as it does on the server.
   */
  readonly closedAt: number | undefined;
  /** After COM_QUIT it is the function that closed, although the server's FIN comes first. */
  readonly closedBy: "function" | "server" | "lab" | undefined;
  /** How the first side ended it. @default - it was not ended, or by the lab */
  readonly endedWith?: "FIN" | "RST";
}

export type Protocol = "MySQL" | "PostgreSQL" | "Redis" | "AMQP";

/** Looks at what passes on one connection, and says so in its fields. */
export interface ProtocolWatch {
  fromFunction(chunk: Buffer): void;
  fromServer(chunk: Buffer): void;
}

/** What a watch may say of its connection. */
export type Watched = Pick<Mutable<RelayedConnection>, "threadId" | "loggedIn" | "encrypted" | "protocol">;

/**
 * `open`: the server has answered; `refused`: it has refused the log-in, so there is no session; `quit`: the function
 * has sent the protocol's end message.
 */
export type WatchedEvent = "open" | "refused" | "quit";

export type WatchProtocol = (connection: Watched, seen: (event: WatchedEvent) => void) => ProtocolWatch;

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
