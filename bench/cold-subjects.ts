import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startSecretsManagerMock } from "../lab/lambda/secrets-manager-mock";
import { createCertificates } from "../lab/mysql/certificates";
import { MisbehavingServer } from "../lab/mysql/misbehaving-server";
import { findServerProgram, startThrowawayServer } from "../lab/mysql/throwaway-server";
import type { Subject } from "../lab/subjects/subject";
import { stageUnbundled } from "../lab/subjects/unbundled-code";
import type { SubjectKey } from "./subjects";

/**
 * Whose cold start is measured: this function with each log-in, a handler that does nothing, the article's, which knows
 * a password without TLS only, and one as AWS's documentation has it: AWS's SDK, mysql2, and RDS's bundle of authorities.
 */
export type ColdKey = "floor" | "password" | "passwordTls" | "secretTls" | "iamTls" | "article" | "awsDocs";

/** A subject, and what tells it how to log in. */
export interface ColdSubject extends Omit<Subject, "variables"> {
  readonly variables: Readonly<Record<string, string>>;
}

export interface ColdSubjects {
  readonly subjects: Readonly<Record<ColdKey, ColdSubject>>;
  stop(): Promise<void>;
}

const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:012345678901:secret:bench-AbCdEf";

/** As long as those that Lambda hands to a function. */
const AWS_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
  AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  AWS_SESSION_TOKEN: "session+".repeat(100),
};

/**
 * Starts what a deployed function talks to: a server with TLS, the stand-in for Secrets Manager behind TLS, and the
 * lab's half of MySQL's protocol for IAM tokens, which no server at hand takes. All of them show certificates of the
 * lab's own authority.
 *
 * @param scratch an existing directory below the root, where AWS's SDK is found above the code, as in Lambda
 * @throws Error where there is no server program: the stand-in has no TLS
 */
export async function startColdSubjects(
  { ours, floor, article }: Readonly<Record<Extract<SubjectKey, "ours" | "floor" | "article">, Subject>>,
  scratch: string,
): Promise<ColdSubjects> {
  const program = await findServerProgram(undefined);
  if (program === undefined) throw new Error("cold starts need mariadbd or mysqld: the stand-in server has no TLS");
  const directory = join(scratch, "certificates");
  mkdirSync(directory);
  const { rightName: certificate, authorityFile } = createCertificates(directory);
  const database = await startThrowawayServer(program, { certificate });
  const iam = await MisbehavingServer.start({ plugin: "mysql_clear_password", certificate, token: /Action=connect/ });
  const secrets = await startSecretsManagerMock(SECRET_ARN, certificate);
  secrets.put({ username: database.user, password: database.password });

  const documented = join(scratch, "aws-docs");
  stageUnbundled(join(__dirname, "subjects/aws-docs"), documented, ["mysql2"]);

  const at = ({ port, database: name }: { readonly port: number; readonly database: string }) =>
    ({ DB_HOST: "localhost", DB_PORT: String(port), DB_NAME: name }) as const;
  const login = { DB_AUTH: "password", DB_USER: database.user, DB_PASSWORD: database.password };
  const password = { ...at(database), ...login, DB_TLS: "off" };
  const tls = { DB_TLS: "verify", NODE_EXTRA_CA_CERTS: authorityFile };
  const secret = {
    ...{ ...at(database), ...tls, ...AWS_CREDENTIALS, DB_AUTH: "secret", DB_SECRET_ARN: SECRET_ARN },
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
  };
  const subject = (name: string, { lambdaFunction, extensions }: Subject, variables: ColdSubject["variables"]) => ({
    ...{ name, lambdaFunction, extensions, variables },
  });
  return {
    subjects: {
      floor: subject("an empty handler", floor, {}),
      password: subject("this function: password", ours, password),
      passwordTls: subject("this function: password, TLS", ours, { ...password, ...tls }),
      secretTls: subject("this function: secret, TLS", ours, secret),
      iamTls: subject("this function: IAM, TLS", ours, {
        ...{ ...at(iam), ...tls, ...AWS_CREDENTIALS, DB_AUTH: "iam", DB_USER: iam.account.user },
      }),
      article: subject("the article's way: password", article, password),
      awsDocs: subject(
        "AWS's documentation: SDK, mysql2, TLS",
        { ...ours, lambdaFunction: { ...ours.lambdaFunction, directory: documented } },
        secret,
      ),
    },
    stop: async () => {
      await Promise.all([secrets.close(), iam.close(), database.stop()]);
    },
  };
}
