export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** The MySQL server that watches how the function leaves. */
export interface DatabaseServer {
  readonly kind: "url" | "mariadbd" | "mysqld" | "fake";
  /** One line for the report: which server this is, and where it comes from. */
  readonly description: string;
  readonly host: string;
  readonly port: number;
  /** What the function logs in with; it may do everything in `database` and nothing elsewhere. */
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Of the server process, if it is ours. */
  readonly pid: number | undefined;
  /** Which of these server threads still exist. */
  heldThreads(ids: readonly number[]): Promise<ReadonlySet<number>>;
  /** How many clients have gone without COM_QUIT since the server began to count. */
  abortedClients(): Promise<number>;
  /** Stops the server if it is ours, and takes its directory away. */
  stop(): Promise<void>;
}
