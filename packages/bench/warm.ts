import type { DatabaseServer } from "../lab/mysql/server";
import { ExecutionEnvironment } from "../lab/lambda/execution-environment";
import type { LambdaRuntime } from "../lab/lambda/lambda-runtime";
import type { Subject } from "../lab/functions/subject";
import { distribution, type Distribution } from "./distribution";

export interface Warm {
  readonly subject: string;
  readonly invocation: Distribution;
}

const ENVIRONMENTS = 4;

/** Of each environment. */
const NOT_COUNTED = 100;

/**
 * Some environments of each way, invoked in turn and straight on the server: what the relay costs is nobody's overhead.
 * Who goes first has the caches of nobody, who comes later has the lab's: so every second round goes backwards. And more
 * than one environment, since two processes of the same code differ by percents for all their lives (measured).
 */
export async function warm(
  subjects: readonly Subject[],
  invocations: number,
  runtime: LambdaRuntime,
  database: DatabaseServer,
): Promise<readonly Warm[]> {
  const { host, port, user, password } = database;
  const login = {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: database.database,
    DB_USER: user,
    DB_AUTH: "password",
  };
  const durations = new Map(subjects.map(({ name }) => [name, [] as number[]]));
  const running = Array.from({ length: ENVIRONMENTS }, () => subjects)
    .flat()
    .map(({ name, extensions, lambdaFunction }) => {
      const variables = { ...lambdaFunction.environment, ...login, DB_PASSWORD: password, DB_TLS: "off" };
      const environment = new ExecutionEnvironment({
        runtime,
        extensions,
        lambdaFunction: { ...lambdaFunction, environment: variables },
      });
      return { name, environment };
    });
  try {
    for (let round = 0; round < NOT_COUNTED + invocations / ENVIRONMENTS; round += 1) {
      for (const { name, environment } of round % 2 === 0 ? running : running.toReversed()) {
        const result = await environment.invoke({});
        if (!result.ok) throw new Error(`${name}: ${result.error.errorMessage}`);
        if (round >= NOT_COUNTED) durations.get(name)?.push(result.durationMs);
      }
    }
    return [...durations].map(([subject, each]) => ({ subject, invocation: distribution(each) }));
  } finally {
    for (const { environment } of running) await environment.shutdown();
  }
}
