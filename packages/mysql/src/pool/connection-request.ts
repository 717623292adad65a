import { now } from "../node-runtime.ts";
import type { Transaction } from "./transaction.ts";

/** One statement's way to a connection; a second try of the same statement goes on with it. */
export class ConnectionRequest {
  readonly since = now();
  /** Whether the statement has had a connection, on which it did not run. */
  isRepeat = false;

  remainingMs: number | undefined;

  /**
   * @param limitMs the caller's own for all waits of the statement, if there is one
   * @param inside the transaction that asks, from inside its work
   * @param isInit whether nothing waits for the connection yet
   */
  constructor(
    readonly limitMs: number | undefined,
    readonly inside: Transaction | undefined,
    readonly isInit = false,
  ) {
    this.remainingMs = limitMs;
  }
}
