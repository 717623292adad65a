import mysql, { type RowDataPacket } from "mysql2/promise";

/** Milliseconds within which a server that is not frozen answers, even on a busy machine. */
export const ANSWER_WITHIN_MS = 5_000;

/**
 * The lab's own view of the server: one connection, opened once and closed with COM_QUIT, so that it never counts as
 * aborted.
 */
export class Observer {
  readonly #pool: mysql.Pool;

  constructor(login: mysql.PoolOptions) {
    this.#pool = mysql.createPool({ ...login, connectionLimit: 1 });
  }

  async version(): Promise<string> {
    const [row] = await this.ask("SELECT VERSION() AS version");
    const version = String(row?.["version"]);
    return `${version.includes("MariaDB") ? "MariaDB" : "MySQL"} ${version.replace(/-.*/, "")}`;
  }

  async heldThreads(ids: readonly number[]): Promise<ReadonlySet<number>> {
    // Every version answers this statement, and without the PROCESS privilege it shows the user's own threads: enough
    // for MYSQL_URL, where the function logs in as the same user.
    const rows = await this.ask("SHOW PROCESSLIST");
    const existing = new Set(rows.map((row) => Number(row["Id"])));
    return new Set(ids.filter((id) => existing.has(id)));
  }

  async abortedClients(): Promise<number> {
    try {
      const [row] = await this.ask("SHOW GLOBAL STATUS LIKE 'Aborted_clients'");
      if (row === undefined) throw new Error("the server has no such counter");
      return Number(row["Value"]);
    } catch (error) {
      throw new Error(`SHOW GLOBAL STATUS LIKE 'Aborted_clients' failed: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async leave(): Promise<void> {
    // Rejects when the server is gone already, and then there is nothing left to close.
    await this.#pool.end().catch(() => undefined);
  }

  async ask(sql: string, values: readonly unknown[] = []): Promise<readonly RowDataPacket[]> {
    // With a time limit, because some faults freeze the server.
    const [rows] = await this.#pool.query<RowDataPacket[]>({ sql, values: [...values], timeout: ANSWER_WITHIN_MS });
    return rows;
  }
}
