/**
 * What became of a connection: `closed` (the server got COM_QUIT), `aborted` (it was closed without), `leaked` (the
 * environment vanished and the server still holds the thread).
 */
export type Outcome = "closed" | "aborted" | "leaked";
