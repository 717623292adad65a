import type { PoolOptions } from "mysql2";
import { credentials } from "../login/credentials.ts";
import type { TimeLimit } from "./time-limit.ts";
import type { DatabaseSettings } from "../settings.ts";

/** What the function logs in with: read once, and again if the server refuses it. A rotation needs no redeploy. */
export class Logins {
  /** The last one that the server accepted. Cancelling a statement uses it, and reads no secret at SIGTERM. */
  worked: PoolOptions | undefined;
  private known: PoolOptions | undefined;
  private reading: Promise<PoolOptions> | undefined;

  constructor(private readonly settings: DatabaseSettings) {}

  /** @throws Error that names what was waited for */
  async current(deadline: TimeLimit): Promise<PoolOptions> {
    if (this.known !== undefined) return this.known;
    if (this.reading !== undefined) {
      try {
        return await deadline.within(this.reading, () => "credentials");
      } catch (error) {
        // Somebody else's deadline may have ended that reading.
        if (deadline.remainingMs === 0) throw error;
      }
    }
    const reading = credentials(this.settings, deadline.signal);
    this.reading = reading;
    try {
      this.known = await deadline.within(reading, () => "credentials");
      return this.known;
    } finally {
      if (this.reading === reading) this.reading = undefined;
    }
  }

  /**
   * The server has refused this one.
   *
   * @returns whether there is another one now: to log in again with the same would be refused again
   */
  async refused(login: PoolOptions, deadline: TimeLimit): Promise<boolean> {
    if (this.known === login) this.known = undefined;
    if (this.settings.login.type !== "secret") return false;
    const { user, password } = await this.current(deadline);
    if (user !== login.user || password !== login.password) return true;
    this.known = undefined; // the next statement reads it again
    return false;
  }
}
