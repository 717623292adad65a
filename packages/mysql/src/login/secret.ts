import { now } from "../node-runtime.ts";
import { awsCredentials, type AwsCredentials } from "./aws-credentials.ts";
import { ownRegion, secretsManagerEndpoint } from "./aws-endpoint.ts";
import { CredentialsError, ServiceError, serviceErrorText } from "./aws-error.ts";
import { exchange, retried } from "./aws-request.ts";
import { before } from "./deadline.ts";

/** The part of AWS's SDK client `SecretsManager` that reads a secret. */
export interface SecretsManagerClient {
  getSecretValue(
    input: { readonly SecretId: string; readonly VersionStage?: string },
    options?: { readonly abortSignal?: AbortSignal },
  ): Promise<{ readonly SecretString?: string | undefined }>;
}

export interface DatabaseUser {
  readonly username: string;
  readonly password: string;
}

/** What to change, by the type of the error. */
const CURES: Readonly<Record<string, string>> = {
  AccessDeniedException:
    "the function's role needs secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key if that is one of yours (database.auth)",
  DecryptionFailure: "the function's role needs kms:Decrypt on the secret's key (database.auth.kmsKeyArn)",
  ResourceNotFoundException: "DB_SECRET_ARN must be the ARN of a secret that has a value",
  InvalidRequestException: "the secret must not be marked for deletion",
  ThrottlingException: "the account reads too many secrets at the moment; the next statement tries again",
};

const EXPECTED = 'expected JSON with non-empty "username" and "password", as RDS writes it';

/**
 * Reads user and password from Secrets Manager. The request goes to the secret's region, also if the function is in
 * another one.
 *
 * @param secretId the secret's ARN; a name is one of the function's region
 * @param user the user to log in as, if that is not the secret's
 * @throws CredentialsError that names the secret, what was waited for or expected, and never what the secret holds
 */
export async function readSecret(
  secretId: string,
  user: string | undefined,
  signal: AbortSignal,
  client?: SecretsManagerClient,
  stage?: "AWSPENDING",
): Promise<DatabaseUser> {
  const region = /^arn:[\w-]+:secretsmanager:([a-z0-9-]+):/.exec(secretId)?.[1] ?? ownRegion();
  const place = client ? "the Secrets Manager client" : `Secrets Manager at ${secretsManagerEndpoint(region).origin}`;
  const secret = `secret ${secretId} (DB_SECRET_ARN)`;
  const partition = region.startsWith("cn-") ? "cn." : "";
  const network = `in a VPC the function needs a NAT or the interface endpoint ${partition}com.amazonaws.${region}.secretsmanager`;

  const input = stage === undefined ? { SecretId: secretId } : { SecretId: secretId, VersionStage: stage };
  const start = now();
  let last: unknown;
  try {
    const answer = client
      ? await before(signal, client.getSecretValue(input, { abortSignal: signal }))
      : await secretValue(region, input, signal, (error) => (last = error));
    return databaseUser(answer, user);
  } catch (error) {
    if (error instanceof CredentialsError) throw error;
    if (error instanceof UnexpectedContent) throw new CredentialsError(`${secret} ${error.message}; ${EXPECTED}`);
    if (signal.aborted) {
      const attempt = last === undefined ? "" : ` (the last attempt: ${typeOf(last)})`;
      const waited = `did not answer within ${Math.round(now() - start)} ms${attempt}`;
      throw new CredentialsError(`${place} ${waited}; ${network}; while reading ${secret}`);
    }
    const type = typeOf(error);
    if (error instanceof ServiceError || client) {
      const text = error instanceof ServiceError ? error.text : String((Object(error) as Partial<Error>).message);
      const cure = CURES[type] === undefined ? "" : `; ${CURES[type]}`;
      throw new CredentialsError(`${place} refused ${secret}: ${serviceErrorText(type, text)}${cure}`);
    }
    throw new CredentialsError(`${place} could not be reached: ${type}; ${network}; while reading ${secret}`);
  }
}

/** The service's name for an error, or Node's code. AWS's SDK has the service's in `name`. */
function typeOf(error: unknown): string {
  if (error instanceof ServiceError) return error.type;
  const { code, name = "" } = Object(error) as Partial<NodeJS.ErrnoException>;
  return code ?? name;
}

async function secretValue(
  region: string,
  input: { readonly SecretId: string; readonly VersionStage?: string },
  signal: AbortSignal,
  failed: (error: unknown) => void,
): Promise<{ readonly SecretString?: unknown }> {
  const endpoint = secretsManagerEndpoint(region);
  const body = JSON.stringify(input);
  const [{ default: aws4 }, credentials] = await Promise.all([import("aws4"), awsCredentials(signal)]);
  const attempt = async (): Promise<{ readonly SecretString?: unknown }> => {
    // Signed for each attempt, since the time is in the signature.
    const { headers = {} } = aws4.sign(
      {
        service: "secretsmanager",
        region,
        method: "POST",
        host: endpoint.host,
        path: endpoint.pathname,
        headers: { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue" },
        body,
      },
      credentials,
    );
    const { status, headers: answered, text } = await exchange(endpoint, { method: "POST", headers, body }, signal);
    const answer = jsonObject(text);
    if (status === 200 && answer) return answer;
    throw serviceError(status, answered["x-amzn-errortype"], answer, credentials);
  };
  return await retried(attempt, signal, failed);
}

/** https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization */
function serviceError(
  status: number,
  header: unknown,
  answer: Readonly<Record<string, unknown>> = {},
  { secretAccessKey, sessionToken = secretAccessKey }: AwsCredentials,
): ServiceError {
  const types = [header, answer["__type"], answer["code"], `Status${status}`];
  const type = types.find((each): each is string => typeof each === "string") ?? "";
  const text = answer["message"] ?? answer["Message"];
  const shown = (typeof text === "string" ? text : "")
    .replaceAll(secretAccessKey, "***")
    .replaceAll(sessionToken, "***");
  return new ServiceError(type.split(":", 1).join("").split("#").at(-1) ?? "", shown, status);
}

/** What is wrong with the secret, without any of it. */
class UnexpectedContent extends Error {}

function databaseUser({ SecretString }: { readonly SecretString?: unknown }, user: string | undefined): DatabaseUser {
  if (typeof SecretString !== "string") throw new UnexpectedContent("has no SecretString (it may be binary)");
  const secret = jsonObject(SecretString);
  if (!secret) throw new UnexpectedContent("is not a JSON object");
  const field = (name: string): string => {
    const value = secret[name];
    if (typeof value === "string" && value !== "") return value;
    throw new UnexpectedContent(`has no ${name}, or its ${name} is not a non-empty string`);
  };
  return { username: user ?? field("username"), password: field("password") };
}

/** Never the parser's error: its message quotes what it read. */
function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
