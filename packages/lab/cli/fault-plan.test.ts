import { faultedFunction } from "./fault-plan";
import type { Chosen } from "./handler-options";

test("a handler meets the faults with its layers and the variables of the command line", () => {
  const environment = { AWS_LAMBDA_EXEC_WRAPPER: "/opt/graceful-shutdown" };
  const lambdaFunction = {
    ...{ name: "theirs", directory: ".", handler: "index.handler", memorySizeMb: 128, timeoutMs: 3_000 },
    ...{ environment, layerPaths: ["/layer"] },
  };
  const choice: Chosen = {
    subject: { name: "theirs", extensions: [], lambdaFunction },
    runtime: "nodejs24.x",
    extensionIsAssumed: false,
    events: { quick: {} },
    adviceContext: {},
  };
  const faulted = faultedFunction(choice, { SQL_HOST: "{host}" });
  const login = { host: "h", port: 1, user: "u", password: "p", database: "d" };
  expect(faulted).toMatchObject({ environment, layerPaths: ["/layer"] });
  expect(faulted.userVariables?.(login)).toMatchObject({ SQL_HOST: "h" });
});
