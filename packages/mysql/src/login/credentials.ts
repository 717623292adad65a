import type { PoolOptions, SslOptions } from "mysql2";
import { certificateAuthorities } from "./certificate-authorities.ts";
import type { DatabaseSettings } from "../settings.ts";

export { CredentialsError } from "./aws-error.ts";

/**
 * What mysql2 needs to log in: read again whenever a pool is set up, so that a rotated secret needs no redeploy. The
 * options also hold `host`, the name that the certificate must have: the caller's `stream` option decides the address.
 *
 * @param signal ends the wait for AWS
 * @param stage of the secret: a rotation puts the next password under AWSPENDING before it changes the server's
 * @throws CredentialsError that says what was waited for, or what is wrong with the secret, and shows no secret
 */
export async function credentials(
  settings: DatabaseSettings,
  signal: AbortSignal = AbortSignal.timeout(settings.connectTimeoutMs),
  stage?: "AWSPENDING",
): Promise<PoolOptions> {
  const { host, port, login, tlsServerName = host } = settings;
  const tls = settings.tls === "verify" ? { host: tlsServerName, ssl: verifiedTls(settings) } : {};
  switch (login.type) {
    case "password":
      return { ...tls, user: login.user, password: login.password };
    case "secret": {
      // Loaded only where it is used, since it costs Init time.
      const { readSecret } = await import("./secret.ts");
      const secret = await readSecret(login.secretArn, login.user, signal, settings.secretsManager, stage);
      return { ...tls, user: secret.username, password: secret.password };
    }
    case "iam": {
      const { iamToken } = await import("./iam-token.ts");
      const { user } = login;
      await iamToken(tlsServerName, port, user, signal); // reports a wrong certificate here, not inside the driver
      // A token lasts 15 minutes and is checked on connect only, so each connect asks for a fresh one. It travels as a
      // clear-text password, which the settings allow over verified TLS only.
      const token = async (): Promise<Buffer> => {
        const limit = AbortSignal.timeout(settings.connectTimeoutMs);
        return Buffer.from(`${await iamToken(tlsServerName, port, user, limit)}\0`);
      };
      return { ...tls, user, authPlugins: { mysql_clear_password: () => token } };
    }
  }
}

/** The same object for the same settings: mysql2 keeps the parsed authorities and the TLS session with it. */
const tlsOptions = new WeakMap<DatabaseSettings, SslOptions>();

/** The chain is checked, and that the certificate names the host, which mysql2 leaves out without `verifyIdentity`. */
function verifiedTls(settings: DatabaseSettings): SslOptions {
  const known = tlsOptions.get(settings);
  if (known) return known;
  const options = { ca: certificateAuthorities(settings), verifyIdentity: true, minVersion: "TLSv1.2" };
  tlsOptions.set(settings, options);
  return options;
}
