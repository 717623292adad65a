import { setTimeout as sleep } from "node:timers/promises";

const GIVE_UP_AFTER_MS = 10_000;

export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + GIVE_UP_AFTER_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never became true: ${holds.toString()}`);
    await sleep(1);
  }
}
