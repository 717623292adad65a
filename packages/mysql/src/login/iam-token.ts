import { awsCredentials } from "./aws-credentials.ts";
import { ownRegion, rdsRegion } from "./aws-endpoint.ts";

/** RDS accepts no more: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html */
const LIFETIME_S = 900;

/**
 * A token of RDS IAM authentication: a signed request that is never sent. It is signed for the region in the name of an
 * RDS endpoint, else for the function's.
 *
 * @param host the endpoint's own name; RDS refuses a token for another that leads to it
 * @throws CredentialsError if there is no region or are no AWS credentials
 */
export async function iamToken(host: string, port: number, user: string, signal: AbortSignal): Promise<string> {
  const [{ default: aws4 }, credentials] = await Promise.all([import("aws4"), awsCredentials(signal)]);
  const query = new URLSearchParams({ Action: "connect", DBUser: user, "X-Amz-Expires": String(LIFETIME_S) });
  const address = `${host}:${port}`;
  const { path = "" } = aws4.sign(
    {
      service: "rds-db",
      region: rdsRegion(host) ?? ownRegion(),
      method: "GET",
      host,
      headers: { Host: address },
      path: `/?${query.toString()}`,
      signQuery: true,
    },
    credentials,
  );
  return address + path;
}
