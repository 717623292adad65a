import { now } from "../node-runtime.ts";
import { CredentialsError, ServiceError } from "./aws-error.ts";
import { exchange, retried } from "./aws-request.ts";

/** What signs a request to AWS. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** The SDK's hosts that may get the authorization token without TLS; loopback addresses may, too. */
const CONTAINER_HOSTS = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "[::1]"];

/** Credentials are renewed this long before they expire, so that no request arrives with expired ones. */
const REFRESH_MS = 5 * 60_000;

let cached: { readonly uri: string; readonly credentials: AwsCredentials; readonly expires: number } | undefined;

/**
 * The function's own credentials: from the environment, or, as in a function with SnapStart, from the endpoint that
 * AWS_CONTAINER_CREDENTIALS_FULL_URI names.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 *
 * @throws CredentialsError if there are none, or the endpoint fails or does not answer
 */
export async function awsCredentials(signal: AbortSignal): Promise<AwsCredentials> {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: fullUri,
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relativeUri,
  } = process.env;
  if (accessKeyId && secretAccessKey) {
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  }
  const uri = relativeUri ? `http://169.254.170.2${relativeUri}` : fullUri;
  if (!uri) {
    throw new CredentialsError(
      "no AWS credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set (environment)",
    );
  }
  if (cached?.uri === uri && Date.now() < cached.expires - REFRESH_MS) return cached.credentials;
  try {
    cached = { uri, ...(await containerCredentials(uri, signal)) };
  } catch (error) {
    // A failed renewal does not matter while the old credentials are valid.
    if (signal.aborted || cached?.uri !== uri || Date.now() >= cached.expires) throw error;
  }
  return cached.credentials;
}

async function containerCredentials(
  uri: string,
  signal: AbortSignal,
): Promise<{ credentials: AwsCredentials; expires: number }> {
  const url = containerUrl(uri);
  const authorization = await authorizationToken();
  const headers = { Accept: "application/json", ...(authorization ? { Authorization: authorization } : {}) };
  const start = now();
  try {
    return await retried(async () => {
      const { status, text } = await exchange(url, { method: "GET", headers }, signal);
      if (status !== 200) throw new ServiceError(`Status${status}`, "", status);
      return parsed(text);
    }, signal);
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    const waited = `did not answer within ${Math.round(now() - start)} ms`;
    const failed = signal.aborted ? waited : `failed: ${error instanceof ServiceError ? error.type : (code ?? name)}`;
    throw new CredentialsError(
      `the endpoint for AWS credentials at ${url.origin} (AWS_CONTAINER_CREDENTIALS_FULL_URI) ${failed}`,
    );
  }
}

function containerUrl(uri: string): URL {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  const isLoopback = url !== undefined && /^127(\.\d{1,3}){3}$/.test(url.hostname);
  if (url?.protocol === "https:") return url;
  if (url?.protocol === "http:" && (isLoopback || CONTAINER_HOSTS.includes(url.hostname))) return url;
  throw new CredentialsError(
    `AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor one of ${CONTAINER_HOSTS.join(", ")}, 127.0.0.0/8 (environment)`,
  );
}

async function authorizationToken(): Promise<string | undefined> {
  const { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file, AWS_CONTAINER_AUTHORIZATION_TOKEN: token } = process.env;
  if (!file) return token;
  const { readFile } = await import("node:fs/promises");
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CredentialsError(`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE "${file}" cannot be read: ${code ?? "?"}`);
  }
}

/** Never the parser's error: its message quotes what it read. */
function parsed(text: string): { credentials: AwsCredentials; expires: number } {
  let answer: Readonly<Record<string, unknown>> | null = null;
  try {
    answer = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    // as an answer without credentials
  }
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = answer ?? {};
  if (typeof AccessKeyId !== "string" || typeof SecretAccessKey !== "string") {
    throw new ServiceError("an answer without AccessKeyId and SecretAccessKey", "", 200);
  }
  const credentials = {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...(typeof Token === "string" ? { sessionToken: Token } : {}),
  };
  // Credentials without an end are asked for each time.
  return { credentials, expires: Date.parse(String(Expiration)) || 0 };
}
