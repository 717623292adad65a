import { logInCell, type LogIn } from "../runs/log-in";

interface LoggedIn {
  readonly subject: string;
  /** @default - the data are older than the look at it */
  readonly logIn?: LogIn;
}

/** How each function logged in, for a caption; empty for data that do not tell. */
export function logInsOf(all: readonly LoggedIn[]): string {
  const known = all.flatMap(({ subject, logIn }) => (logIn === undefined ? [] : [`${subject} (${logInCell(logIn)})`]));
  return known.length === 0 ? "" : ` Log-in: ${known.join(", ")}.`;
}
