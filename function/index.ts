import { onShutdown, registerExtension } from "lambda-graceful-shutdown";
import { Database, databaseSettings } from "lambda-graceful-shutdown-mysql";

interface Answer {
  /** The server's number for the connection, `CONNECTION_ID()`. */
  readonly connectionId: number;
  /** The server's clock, ISO 8601 in UTC. */
  readonly serverTime: string;
}

// Connects during Init, as AWS recommends. This never throws: the handler's first statement reports what is wrong.
const database = new Database(databaseSettings());
const opening = database.open();

// The clean-up on SIGTERM. Lambda sends that signal only to a function that has an extension.
onShutdown("mysql", (context) => database.close(context));
await registerExtension();
// With provisioned concurrency the environment is frozen right after Init, which would cut the log-in off.
if (process.env["AWS_LAMBDA_INITIALIZATION_TYPE"] === "provisioned-concurrency") await opening;

/**
 * Answers any event. An event with `sleepSeconds`, 0 to 900, first keeps the server busy for that long, so that you can
 * see in your own account what a time-out leaves behind.
 */
export async function handler(event: { readonly sleepSeconds?: unknown } | null): Promise<Answer | undefined> {
  const seconds = event?.sleepSeconds ?? 0;
  if (typeof seconds !== "number" || !(seconds >= 0 && seconds <= 900)) {
    throw new TypeError(`sleepSeconds ${JSON.stringify(seconds)} is not a number from 0 to 900 (set it in the event)`);
  }
  if (seconds > 0) await database.query("SELECT SLEEP(?)", [seconds]);
  const [row] = await database.query<Answer>("SELECT CONNECTION_ID() AS connectionId, UTC_TIMESTAMP(3) AS serverTime");
  return row && { ...row, serverTime: `${row.serverTime.replace(" ", "T")}Z` };
}
