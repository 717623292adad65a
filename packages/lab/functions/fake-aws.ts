import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import tls, { type SecureContext } from "node:tls";
import { startFakeSecretsManager, type FakeSecretsManager } from "../lambda/fake-secrets-manager";
import { createCertificates, type ServerCertificate } from "#fake-mysql";

/** What stands in for AWS where a function logs in as it would be deployed. */
export interface FakeAws {
  /** PEM file of the lab's certificate authority, in the place of RDS's and Amazon's. */
  readonly authorityFile: string;
  /** For localhost and 127.0.0.1, signed by that authority. */
  readonly certificate: ServerCertificate;
  /** What a server shows under TLS. */
  readonly tls: () => SecureContext;
  /**
   * The same for one more name.
   *
   * @param serverName apart from localhost @default none
   */
  readonly tlsFor: (serverName?: string) => Promise<SecureContext>;
  /** It has the one secret, and speaks TLS as AWS's endpoint does. */
  readonly secretsManager: FakeSecretsManager;
  readonly secretArn: string;
  stop(): Promise<void>;
}

const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:012345678901:secret:lab-AbCdEf";

/** @param scratch an existing directory, which is the caller's to remove */
export async function startFakeAws(scratch: string): Promise<FakeAws> {
  const directory = join(scratch, "certificates");
  mkdirSync(directory);
  const { rightName: certificate, authorityFile, signed } = await createCertificates(directory);
  const secretsManager = await startFakeSecretsManager(SECRET_ARN, certificate);
  const context = secureContext(certificate);
  return {
    ...{ authorityFile, certificate, secretsManager, secretArn: SECRET_ARN },
    tls: () => context,
    tlsFor: async (name) => (name ? secureContext(await signed([name, "localhost"], ["127.0.0.1"])) : context),
    stop: () => secretsManager.close(),
  };
}

function secureContext({ certificateFile, keyFile }: ServerCertificate): SecureContext {
  return tls.createSecureContext({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) });
}
