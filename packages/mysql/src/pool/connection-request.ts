import type { TimeLimit } from "./time-limit.ts";
import type { Transaction } from "./transaction.ts";

/** Before a server with too many connections is asked again; doubled each time. */
const FIRST_BACK_OFF_MS = 50;

/** One statement's way to a connection; a second try of the same statement goes on with it. */
export class ConnectionRequest {
  logins = 0;
  backOffMs = FIRST_BACK_OFF_MS;

  /**
   * @param deadline of all of it: credentials, a free connection, connects, log-ins and what they are repeated for
   * @param inside the transaction that asks, from inside its work
   * @param isAhead whether nothing waits for the connection yet, as during Init
   */
  constructor(
    readonly deadline: TimeLimit,
    readonly inside: Transaction | undefined,
    readonly isAhead = false,
  ) {}
}
