import { NodeSDK } from "@opentelemetry/sdk-node";
import { onShutdown } from "lambda-graceful-shutdown";
import { Database, databaseSettings } from "lambda-graceful-shutdown-mysql";

const sdk = new NodeSDK({ serviceName: "orders" });
sdk.start();
const database = new Database(databaseSettings());
onShutdown("mysql", (context) => database.close(context));
// Both start at once. The last spans do not need the database, so neither waits for the other.
onShutdown("telemetry", () => sdk.shutdown());

export const handler = async () => database.query("SELECT 1");
