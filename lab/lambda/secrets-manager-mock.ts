import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json, readBody } from "./http-answer";

/**
 * A mock of AWS Secrets Manager with one secret and one operation, GetSecretValue. It checks no signature, so nothing
 * about permissions can be believed of it.
 */
export interface SecretsManagerMock {
  /** Value of AWS_ENDPOINT_URL_SECRETS_MANAGER. */
  readonly endpoint: string;
  /** What the secret holds from now on, as RDS writes it. */
  put(secret: { readonly username: string; readonly password: string }): void;
  close(): Promise<void>;
}

export async function startSecretsManagerMock(secretArn: string): Promise<SecretsManagerMock> {
  let secretString = "{}";
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { SecretId } = JSON.parse(body) as { SecretId?: string };
      const operation = request.headers["x-amz-target"];
      if (operation === "secretsmanager.GetSecretValue" && SecretId === secretArn) {
        json(response, 200, { ARN: secretArn, Name: "lab", SecretString: secretString });
      } else {
        json(response, 400, { __type: "ResourceNotFoundException", message: `the mock has only ${secretArn}` });
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    put: (secret) => {
      secretString = JSON.stringify(secret);
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
