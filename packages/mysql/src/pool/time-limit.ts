import { now } from "../clock.ts";

/** The time limit of something that waits several times, and works between. Each wait says what it waits for. */
export class TimeLimit {
  private leftMs: number;
  private begunAt: number | undefined;
  private readonly over = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  /** @param limitMs milliseconds, of which {@link begin} to {@link pause} counts */
  constructor(readonly limitMs: number) {
    this.leftMs = limitMs;
  }

  begin(): void {
    this.begunAt = now();
  }

  pause(): void {
    this.leftMs = this.remainingMs;
    this.begunAt = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Aborted when the time is over, but only while a wait of {@link within} lasts. */
  get signal(): AbortSignal {
    return this.over.signal;
  }

  /** Milliseconds, never below 0. */
  get remainingMs(): number {
    return Math.max(0, this.leftMs - (this.begunAt === undefined ? 0 : now() - this.begunAt));
  }

  /**
   * Settles as `work` does.
   *
   * @param waitedFor names the work in the error, read when the time is over: "no … within 3000 ms"
   * @throws Error if the time is over before
   */
  async within<T>(work: Promise<T>, waitedFor: () => string): Promise<T> {
    let abort = (): void => undefined;
    const timeUp = new Promise<never>((_, reject) => {
      abort = () => {
        const error = new Error(`no ${waitedFor()} within ${this.limitMs} ms (DB_CONNECT_TIMEOUT_MS)`);
        // Work that ends because of the signal knows better what it waited for.
        setImmediate(() => {
          reject(error);
        });
      };
      this.signal.addEventListener("abort", abort, { once: true });
      this.timer ??= setTimeout(() => {
        this.over.abort();
      }, this.remainingMs);
      if (this.signal.aborted) abort();
    });
    try {
      return await Promise.race([work, timeUp]);
    } finally {
      this.signal.removeEventListener("abort", abort);
    }
  }
}
