import type { DatabaseServer } from "../lab/database-server";
import { ExecutionEnvironment } from "../lab/execution-environment";
import type { LambdaRuntime } from "../lab/lambda-runtime";
import type { Way } from "../lab/way";
import { distribution, type Distribution } from "./distribution";

/** Milliseconds of a warm invocation, as its caller sees them. */
export interface Warm {
  readonly way: string;
  readonly invocation: Distribution;
}

const NOT_COUNTED = 100;

/** One environment of each way, invoked in turn, straight on the server: what the relay costs is nobody's overhead. */
export async function warm(
  ways: readonly Way[],
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
  const running = ways.map(({ name, extensions, lambdaFunction }) => {
    const variables = { ...lambdaFunction.environment, ...login, DB_PASSWORD: password, DB_TLS: "off" };
    const environment = new ExecutionEnvironment({
      runtime,
      extensions,
      lambdaFunction: { ...lambdaFunction, environment: variables },
    });
    return { name, environment, durations: [] as number[] };
  });
  try {
    for (let round = 0; round < NOT_COUNTED + invocations; round += 1) {
      for (const { name, environment, durations } of running) {
        const result = await environment.invoke({});
        if (!result.ok) throw new Error(`${name}: ${result.error.errorMessage}`);
        if (round >= NOT_COUNTED) durations.push(result.durationMs);
      }
    }
    return running.map(({ name, durations }) => ({ way: name, invocation: distribution(durations) }));
  } finally {
    for (const { environment } of running) await environment.shutdown();
  }
}
