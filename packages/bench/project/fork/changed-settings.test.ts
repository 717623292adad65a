/** A fork with every setting that the README invites to change, a handler of its own and another dependency. */
import { symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { mainWith } from "../../../../__tests__/main-settings";
import { Fork, succeeded } from "./fork";

jest.setTimeout(400_000);

const HANDLER = `import { onShutdown, registerExtension } from "lambda-graceful-shutdown";
import { Database, databaseSettings } from "lambda-graceful-shutdown-mysql";
import { name } from "tiny";

const database = new Database(databaseSettings());
onShutdown("mysql", (context) => database.close(context));
await registerExtension();

export const handler = async (event: { readonly orderId?: number }): Promise<unknown> => {
  if (event.orderId === undefined) throw new TypeError(\`orderId is missing, says \${name}\`);
  return database.query("SELECT ? AS orderId", [event.orderId]);
};
`;

const fork = new Fork();

beforeAll(() => {
  fork.write("src/orders.ts", HANDLER);
  const main = mainWith({
    ...{ STACK_NAME: '"orders-api"', region: '"eu-west-3"', functionName: '"orders"', entry: '"src/orders.ts"' },
    ...{ architecture: '"x86_64"', runtime: '"nodejs22.x"', memorySize: "512", timeout: "30" },
    ...{ CREATE_DATABASE: "true", name: '"orders"', databaseName: '"orders"' },
  });
  fork.write("main.ts", main);
  fork.edit("tsconfig.json", /"main\.ts", /, '"main.ts", "src", ');
  fork.delete("packages/lab", "packages/bench");
  // The other packages are this project's: only the new one is added.
  symlinkSync(resolve("node_modules"), join(fork.directory, "node_modules"));
  const manifest = { name: "tiny", version: "1.0.0", main: "index.js", types: "index.d.ts" };
  fork.write("src/node_modules/tiny/package.json", JSON.stringify(manifest));
  fork.write("src/node_modules/tiny/index.js", 'exports.name = "tiny";');
  fork.write("src/node_modules/tiny/index.d.ts", "export declare const name: string;");
});

test("npm run check passes", async () => {
  succeeded(await fork.run("npm run check"));
});

test("every test of the template passes", async () => {
  succeeded(await fork.run("npx jest"));
});
