import { createClient } from "redis";
import { onShutdown } from "lambda-graceful-shutdown";

const redis = createClient({ url: process.env["REDIS_URL"] ?? "redis://localhost:6379" });
redis.on("error", (error: Error) => {
  console.warn(`redis: ${error.message}`); // without a listener the error would end the process
});
const connected = redis.connect(); // starts in Init, without waiting
// close() sends nothing new and waits for the answers under way. destroy() drops them.
onShutdown("redis", async () => {
  await redis.close();
});

export const handler = async () => {
  await connected;
  return redis.get("greeting");
};
