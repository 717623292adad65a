import type { RelayedConnection } from "../mysql/relay";
import { AUTH_KINDS, type AuthKind } from "../functions/log-in";

/** How a function logged in to its database. */
export interface LogIn {
  /** How it proved who it is, as its variables say. */
  readonly auth: AuthKind;
  /**
   * Over TLS: all of its connections, with a certificate that it was told to verify (`verified`) or that it verifies or
   * not (`used`), a part of them, none, or there was no connection (`unknown`).
   */
  readonly tls: "verified" | "used" | "in part" | "none" | "unknown";
}

/** @param environment the function's variables */
export function logInOf(
  environment: Readonly<Record<string, string>>,
  connections: readonly Pick<RelayedConnection, "tls" | "encrypted">[],
): LogIn {
  const auth = AUTH_KINDS.find((kind) => kind === environment["DB_AUTH"]) ?? "password";
  const overTls = connections.filter(({ tls, encrypted }) => tls === "at the relay" || encrypted).length;
  if (connections.length === 0) return { auth, tls: "unknown" };
  if (overTls === 0) return { auth, tls: "none" };
  if (overTls < connections.length) return { auth, tls: "in part" };
  return { auth, tls: environment["DB_TLS"] === "verify" ? "verified" : "used" };
}

const AUTH_IN_WORDS: Readonly<Record<AuthKind, string>> = {
  secret: "secret from the lab's fake of Secrets Manager",
  password: "password",
  iam: "IAM token, whose signature the lab's server does not check",
};
const TLS_IN_WORDS: Readonly<Record<LogIn["tls"], string>> = {
  verified: "TLS verified against the lab's certificate authority",
  used: "TLS",
  "in part": "TLS on some connections",
  none: "no TLS",
  unknown: "no connection",
};

/** One line of its own. */
export function logInLine({ auth, tls }: LogIn): string {
  return `log-in: ${AUTH_IN_WORDS[auth]}, ${TLS_IN_WORDS[tls]}`;
}

/** The same in a table. */
export function logInCell({ auth, tls }: LogIn): string {
  const short = { verified: "TLS verified", used: "TLS", "in part": "partly TLS", none: "no TLS", unknown: "not seen" };
  return `${auth === "iam" ? "IAM token" : auth}, ${short[tls]}`;
}
