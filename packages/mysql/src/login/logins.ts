import type { PoolOptions } from "mysql2";
import type { DatabaseSettings } from "../settings.ts";
import { now } from "../node-runtime.ts";
import { credentials } from "./credentials.ts";

/**
 * A refused password is not tried again for 1.5 times the time that a statement waits, then twice as long each time, up
 * to this: servers lock an account after some refused log-ins, and an account that was locked may be unlocked.
 */
const LONGEST_REST_MS = 60_000;

/** After a log-in, others with the same password may run side by side for so long. Any other one goes first, alone. */
const PROVEN_MS = 10_000;

/** The secret still has the password that the server refused. */
export class RefusedLoginError extends Error {
  /** @param refusal the server's error */
  constructor(readonly refusal: unknown) {
    super("the secret still has the password that the server refused");
  }
}

interface Refusal {
  readonly error: unknown;
  readonly restMs: number;
  readonly until: number;
}

/** What the function logs in with: read once, and again if the server refuses it. A rotation needs no redeploy. */
export class Logins {
  /** The last one that the server accepted. Cancelling a statement uses it, and reads no secret at SIGTERM. */
  worked: PoolOptions | undefined;
  private workedAt = 0;
  private known: PoolOptions | undefined;
  /** By user and password. */
  private readonly refusals = new Map<string, Refusal>();
  /** Whether AWSPENDING is still to be looked at, once for each refusal of what is under AWSCURRENT. */
  private mayBePending = false;

  constructor(private readonly settings: DatabaseSettings) {}

  /** Whether another log-in may be there later: only a secret changes by itself. */
  get canChange(): boolean {
    return this.settings.login.type === "secret";
  }

  /** Whether the server has accepted the known log-in a moment ago. */
  get isProven(): boolean {
    return this.known !== undefined && this.known === this.worked && now() - this.workedAt < PROVEN_MS;
  }

  /**
   * @throws RefusedLoginError if there is none but those that the server has refused
   * @throws CredentialsError if none can be read
   */
  async next(signal: AbortSignal): Promise<PoolOptions> {
    this.known ??= await this.read(signal);
    return this.known;
  }

  private async read(signal: AbortSignal): Promise<PoolOptions> {
    const current = await credentials(this.settings, signal);
    const refusal = this.refusalOf(current);
    if (refusal === undefined) return current;
    if (this.mayBePending) {
      this.mayBePending = false;
      const pending = await credentials(this.settings, signal, "AWSPENDING").catch(() => undefined);
      if (pending !== undefined && this.refusalOf(pending) === undefined) return pending;
    }
    throw new RefusedLoginError(refusal.error);
  }

  accepted(login: PoolOptions): void {
    this.worked = login;
    this.workedAt = now();
    this.refusals.clear();
  }

  /** The server has refused this one: it is read again before the next log-in. */
  refused(login: PoolOptions, error: unknown): void {
    if (this.known === login) this.known = undefined;
    if (!this.canChange) return;
    const before = this.refusals.get(keyOf(login));
    const restMs = Math.min(
      LONGEST_REST_MS,
      before === undefined ? this.settings.connectTimeoutMs * 1.5 : before.restMs * 2,
    );
    this.refusals.set(keyOf(login), { error, restMs, until: now() + restMs });
    this.mayBePending = true;
  }

  private refusalOf(login: PoolOptions): Refusal | undefined {
    const refusal = this.refusals.get(keyOf(login));
    return refusal !== undefined && now() < refusal.until ? refusal : undefined;
  }
}

function keyOf({ user = "", password = "" }: PoolOptions): string {
  return JSON.stringify([user, password]);
}
