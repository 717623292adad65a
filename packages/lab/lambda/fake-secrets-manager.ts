import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { json, readBody } from "./http-answer";

/**
 * A fake AWS Secrets Manager with one secret and one operation, GetSecretValue. It checks no signature, so it proves
 * nothing about permissions.
 */
export interface FakeSecretsManager {
  /** Value of AWS_ENDPOINT_URL_SECRETS_MANAGER. */
  readonly endpoint: string;
  /** What the secret holds from now on, as RDS writes it. */
  put(secret: { readonly username: string; readonly password: string }): void;
  /** The same for a secret that was not written by RDS. */
  putString(secret: string): void;
  setBehaviour(behaviour: SecretsManagerBehaviour): Promise<void>;
  close(): Promise<void>;
}

/**
 * `silent` accepts and never answers, as in a VPC without the service's endpoint; `refused` accepts no connection;
 * `throttled` and `denied` answer with the service's errors.
 */
export type SecretsManagerBehaviour = "well" | "silent" | "refused" | "throttled" | "denied";

const REFUSALS: Readonly<Partial<Record<SecretsManagerBehaviour, object>>> = {
  throttled: { __type: "ThrottlingException", message: "Rate exceeded" },
  denied: { __type: "AccessDeniedException", message: "the role is not authorized to perform GetSecretValue" },
};

interface State {
  readonly secretArn: string;
  secretString: string;
  behaviour: SecretsManagerBehaviour;
}

/** @param certificate of 127.0.0.1, for an endpoint with TLS, as AWS's has @default - plain HTTP */
export async function startFakeSecretsManager(
  secretArn: string,
  certificate?: { readonly certificateFile: string; readonly keyFile: string },
): Promise<FakeSecretsManager> {
  const state: State = { secretArn, secretString: "{}", behaviour: "well" };
  const listener: RequestListener = (request, response) => {
    void readBody(request).then((body) => {
      answer(state, request, response, body);
    });
  };
  const files = certificate && {
    cert: readFileSync(certificate.certificateFile),
    key: readFileSync(certificate.keyFile),
  };
  const server = files === undefined ? createServer(listener) : createTlsServer(files, listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const stopListening = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  return {
    endpoint: `${certificate === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    putString: (secret) => {
      state.secretString = secret;
    },
    setBehaviour: async (next) => {
      state.behaviour = next;
      if (next === "refused") await stopListening();
      else if (!server.listening) await once(server.listen(port, "127.0.0.1"), "listening");
    },
    put: (secret) => {
      state.secretString = JSON.stringify(secret);
    },
    close: stopListening,
  };
}

function answer(
  { secretArn, secretString, behaviour }: State,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): void {
  const { SecretId } = JSON.parse(body) as { SecretId?: string };
  if (behaviour === "silent") return;
  const refusal = REFUSALS[behaviour];
  if (refusal !== undefined) {
    json(response, 400, refusal);
  } else if (request.headers["x-amz-target"] === "secretsmanager.GetSecretValue" && SecretId === secretArn) {
    json(response, 200, { ARN: secretArn, Name: "lab", SecretString: secretString });
  } else {
    json(response, 400, { __type: "ResourceNotFoundException", message: `the fake has only ${secretArn}` });
  }
}
