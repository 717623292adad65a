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

/** A subject, and what tells it how to log in. */
export interface ColdSubject extends Omit<Subject, "variables"> {
  readonly variables: Readonly<Record<string, string>>;
}

export interface ColdSubjects {
  readonly subjects: Readonly<Record<ColdKey, ColdSubject> & Partial<Record<"earlier", ColdSubject>>>;
  stop(): Promise<void>;
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

  const own = (directory: string): Subject => ({ ...ours, lambdaFunction: { ...ours.lambdaFunction, directory } });
  let before: string | undefined;
  if (earlier !== undefined) {
    before = join(scratch, "earlier"); // there it finds AWS's SDK, which it may need
    cpSync(earlier, before, { recursive: true });
  }

  const login = { ...database, host: "localhost" };
  const password = templateVariables(login);
  const secret = deployedVariables("secret", login, aws);
  const subject = (name: string, { lambdaFunction, extensions }: Subject, variables: ColdSubject["variables"]) => ({
    ...{ name, lambdaFunction, extensions, variables },
  });
  return {
    subjects: {
      floor: subject("an empty handler", floor, {}),
      password: subject("this function: password", ours, password),
      passwordTls: subject("this function: password, TLS", ours, deployedVariables("password", login, aws)),
      secretTls: subject("this function: secret, TLS", ours, secret),
      iamTls: subject(
        "this function: IAM, TLS",
        ours,
        deployedVariables("iam", { ...iamDatabase, host: "localhost" }, aws),
      ),
      article: subject("the article's way: password", article, password),
      awsDocs: subject("AWS's documentation: SDK, mysql2, TLS", own(documented), secret),
      ...(before === undefined ? {} : { earlier: subject("the earlier build: secret, TLS", own(before), secret) }),
    },
    stop: async () => {
      await Promise.all([aws.stop(), iamDatabase.stop(), database.stop()]);
    },
  };
}
