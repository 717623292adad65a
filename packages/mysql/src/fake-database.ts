import { FakeMysql, type FakeMysqlConfig, type Script, type Session } from "lambda-fake-mysql";
import type { ShutdownContext } from "lambda-graceful-shutdown";
import { Database, type DatabaseOptions } from "./database.ts";
import type { DatabaseSettings } from "./settings.ts";

/** A fake server, and databases that use it. */
export class FakeDatabase {
  private constructor(
    readonly server: FakeMysql,
    /** What goes wrong from now on. */
    readonly script: { -readonly [Part in keyof Script]: Script[Part] },
  ) {}

  static async start(config: FakeMysqlConfig = {}): Promise<FakeDatabase> {
    const script = { ...config.script };
    const server = await FakeMysql.start({ plugin: "mysql_native_password", ...config, script });
    server.account = { ...server.account, user: "app", password: "secret" };
    return new FakeDatabase(server, script);
  }

  get settings(): DatabaseSettings {
    const { host, port, database: name, account } = this.server;
    const login = { type: "password", user: account.user, password: account.password } as const;
    return { host, port, name, login, tls: "off", connectTimeoutMs: 1_000 };
  }

  get sessions(): readonly Session[] {
    return this.server.sessions;
  }

  /** Every statement but those with which a connection begins. */
  get statements(): readonly string[] {
    return this.server.statements.filter((sql) => !sql.includes("@@hostname"));
  }

  /** The connections whose statements were cancelled. */
  get kills(): readonly number[] {
    return this.server.kills.map(({ connectionId }) => connectionId);
  }

  database(options?: DatabaseOptions, settings: Partial<DatabaseSettings> = {}): Database {
    return new Database({ ...this.settings, ...settings }, options);
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

/** What a promise rejects with. */
export async function reasonOf(promise: Promise<unknown>): Promise<Error> {
  return (await promise.then(() => new Error("it resolved")).catch((error: unknown) => error)) as Error;
}

/** A Shutdown phase with so many milliseconds. */
export function shutdownIn(ms: number): ShutdownContext {
  const end = Date.now() + ms;
  return { signal: AbortSignal.timeout(ms), remainingMs: () => Math.max(0, end - Date.now()) };
}
