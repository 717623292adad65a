import type { Login } from "../mysql/server";
import type { FakeAws } from "./fake-aws";
import type { Subject } from "./subject";

export const AUTH_KINDS = ["secret", "password", "iam"] as const;
/** How this template's function proves who it is: its DB_AUTH. */
export type AuthKind = (typeof AUTH_KINDS)[number];

/** Made up, and as long as those that Lambda hands to a function. */
const AWS_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
  AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  AWS_SESSION_TOKEN: "session+".repeat(100),
};

/** The environment of a stack says these; the lab's values take their place. */
const OF_THE_LOG_IN = ["DB_USER", "DB_AUTH", "DB_PASSWORD", "DB_SECRET_ARN"];

/**
 * What this template's function reads where it is deployed: TLS that it verifies, a secret from Secrets Manager or an IAM
 * token. In the place of AWS's services are the lab's fakes.
 */
export function deployedVariables(
  auth: AuthKind,
  { host, port, user, password, database }: Login,
  { authorityFile, secretArn, secretsManager }: Pick<FakeAws, "authorityFile" | "secretArn" | "secretsManager">,
): Readonly<Record<string, string>> {
  const common = {
    ...{ DB_HOST: host, DB_PORT: String(port), DB_NAME: database, DB_AUTH: auth, DB_TLS: "verify" },
    // For the database and for Secrets Manager. Of the authorities that came with the bundle, none has signed these.
    NODE_EXTRA_CA_CERTS: authorityFile,
  };
  switch (auth) {
    case "password":
      return { ...common, DB_USER: user, DB_PASSWORD: password };
    case "secret":
      return {
        ...{ ...common, ...AWS_CREDENTIALS, DB_SECRET_ARN: secretArn },
        AWS_ENDPOINT_URL_SECRETS_MANAGER: secretsManager.endpoint,
      };
    case "iam":
      return { ...common, ...AWS_CREDENTIALS, DB_USER: user };
  }
}

/** How the stack says that its function logs in; undefined if the stack does not say it. */
export function authOf({ environment }: Subject["lambdaFunction"]): AuthKind | undefined {
  return AUTH_KINDS.find((kind) => kind === environment["DB_AUTH"]);
}

/** The same function, which logs in as it would where it is deployed. */
export async function deployed(subject: Subject, auth: AuthKind, aws: FakeAws): Promise<Subject> {
  const { environment } = subject.lambdaFunction;
  const kept = Object.entries(environment).filter(([name]) => !OF_THE_LOG_IN.includes(name));
  return {
    ...subject,
    tls: await aws.tlsFor(environment["DB_TLS_SERVER_NAME"]),
    lambdaFunction: { ...subject.lambdaFunction, environment: Object.fromEntries(kept) },
    // A name, as a deployed function has, and not an address: the certificate is checked against it.
    variables: (login) => deployedVariables(auth, { ...login, host: "localhost" }, aws),
  };
}
