/** What a log-in could not get from AWS, and what cures it. It holds no secret, and no cause that could hold one. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
  readonly code = "ERR_LGS_CREDENTIALS";
}

/** A service of AWS answered with an error, or with something that is not its protocol. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  constructor(
    /** The service's name for the error, for example `AccessDeniedException`. */
    readonly type: string,
    /** What the service says about it. It may quote the request, and with it the session token. */
    readonly text: string,
    readonly status: number,
  ) {
    super(type);
  }
}

/**
 * Types whose text says what to do about them, and does not quote the request. The text of a refused signature holds
 * the request's headers, with the session token.
 */
const EXPLAINED = [
  "AccessDeniedException",
  "DecryptionFailure",
  "InternalServiceError",
  "InvalidParameterException",
  "InvalidRequestException",
  "ResourceNotFoundException",
  "ThrottlingException",
];

const MAX_TEXT = 300;

/** One line about an error of a service: its type, and a bounded text where that is safe. */
export function serviceErrorText(type: string, text: string): string {
  const name = /^\w{1,64}$/.test(type) ? type : "an unknown error";
  if (!EXPLAINED.includes(type)) return name;
  // No signature, even if the service quotes one.
  const line = text
    .replace(/\b[0-9a-f]{64}\b/g, "***")
    .replace(/\s+/g, " ")
    .trim();
  const shown = line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
  return shown === "" ? name : `${name}: ${shown}`;
}
