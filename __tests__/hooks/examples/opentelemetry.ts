import { NodeSDK } from "@opentelemetry/sdk-node";
import { Database, databaseSettings, onShutdown, tracked } from "lambda-graceful-shutdown/function";

const sdk = new NodeSDK({ serviceName: "orders" });
sdk.start();
const database = new Database(databaseSettings());
onShutdown("mysql", (context) => database.close(context));
// Both start at once. The last spans do not need the database, so neither waits for the other.
onShutdown("telemetry", () => sdk.shutdown());

export const handler = tracked(async () => database.query("SELECT 1"));
