import { cpSync } from "node:fs";
import { join } from "node:path";
import { startFakeDatabaseServer } from "../lab/mysql/fake-database-server";
import { findServerProgram, startThrowawayServer } from "../lab/mysql/throwaway-server";
import { startFakeAws } from "../lab/functions/fake-aws";
import { deployedVariables } from "../lab/functions/log-in";
import { templateVariables, type Subject } from "../lab/functions/subject";
import { stageUnbundled } from "../lab/functions/unbundled-code";
import type { SubjectKey } from "./subjects";

/**
 * Whose cold start is measured: this function with each log-in, a handler that does nothing, the article's, which knows
 * a password without TLS only, and one as AWS's documentation has it: AWS's SDK, mysql2, and RDS's bundle of authorities.
 */
export type ColdKey = "floor" | "password" | "passwordTls" | "secretTls" | "iamTls" | "article" | "awsDocs";

export interface ColdSubject extends Omit<Subject, "variables"> {
  readonly variables: Readonly<Record<string, string>>;
}

export interface ColdSubjects {
  readonly subjects: Readonly<Record<ColdKey, ColdSubject> & Partial<Record<"earlier", ColdSubject>>>;
  stop(): Promise<unknown>;
}

function like({ lambdaFunction, extensions }: Subject, name: string, variables: ColdSubject["variables"]): ColdSubject {
  return { name, lambdaFunction, extensions, variables };
}

/**
 * Starts what a deployed function talks to: a server with TLS, the fake of Secrets Manager behind TLS, and the
 * lab's half of MySQL's protocol for IAM tokens, which no server at hand takes. All of them show certificates of the
 * lab's own authority.
 *
 * @param scratch an existing directory, where AWS's SDK is found above the code, as in Lambda
 * @param earlier the code of an earlier build, which is measured beside today's @default - none
 * @throws Error where there is no server program: the fake has no TLS
 */
export async function startColdSubjects(
  { ours, floor, article }: Readonly<Record<Extract<SubjectKey, "ours" | "floor" | "article">, Subject>>,
  scratch: string,
  earlier?: string,
): Promise<ColdSubjects> {
  const program = await findServerProgram(undefined);
  if (program === undefined) throw new Error("cold starts need mariadbd or mysqld: the fake server has no TLS");
  const aws = await startFakeAws(scratch);
  const { certificate } = aws;
  const database = await startThrowawayServer(program, { certificate });
  const iamDatabase = await startFakeDatabaseServer(certificate);
  aws.secretsManager.put({ username: database.user, password: database.password });

  const documented = join(scratch, "aws-docs");
  stageUnbundled(join(__dirname, "subjects/aws-docs"), documented, ["mysql2"]);

  const before = join(scratch, "earlier"); // there it finds AWS's SDK, which it may need
  if (earlier !== undefined) cpSync(earlier, before, { recursive: true });

  const login = { ...database, host: "localhost" };
  const password = templateVariables(login);
  const secret = deployedVariables("secret", login, aws);
  const passwordTls = deployedVariables("password", login, aws);
  const iam = deployedVariables("iam", { ...iamDatabase, host: "localhost" }, aws);
  const own = (directory: string): Subject => ({ ...ours, lambdaFunction: { ...ours.lambdaFunction, directory } });
  return {
    subjects: {
      floor: like(floor, "an empty handler", {}),
      password: like(ours, "this function: password", password),
      passwordTls: like(ours, "this function: password, TLS", passwordTls),
      secretTls: like(ours, "this function: secret, TLS", secret),
      iamTls: like(ours, "this function: IAM, TLS", iam),
      article: like(article, "the article's way: password", password),
      awsDocs: like(own(documented), "AWS's documentation: SDK, mysql2, TLS", secret),
      ...(earlier === undefined ? {} : { earlier: like(own(before), "the earlier build: secret, TLS", secret) }),
    },
    stop: () => Promise.all([aws, iamDatabase, database].map((each) => each.stop())),
  };
}
