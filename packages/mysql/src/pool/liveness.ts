import { setImmediate as turnOfTheLoop, setTimeout as sleep } from "node:timers/promises";
import type { ServerConnection } from "./connection.ts";

/** Milliseconds that a server may take to answer a ping, where a connect may take longer than that. */
const PING_TIMEOUT_MS = 1_000;

/** Resolves when the event loop has read what waits in the sockets. The first turn may be one that had read before. */
export async function socketsRead(): Promise<void> {
  await turnOfTheLoop();
  await turnOfTheLoop();
}

/** Whether the server answers a ping within a second, or half of the time for a connect if that is less. */
export async function answersPing(connection: ServerConnection, connectTimeoutMs: number): Promise<boolean> {
  const answer = connection.ping().then(
    () => true,
    () => false,
  );
  const limitMs = Math.min(PING_TIMEOUT_MS, connectTimeoutMs / 2);
  const silence = sleep(limitMs, undefined, { ref: false }).then(async () => {
    await socketsRead(); // a freeze makes the timer due before the answer is read
    return false;
  });
  return Promise.race([answer, silence]);
}
