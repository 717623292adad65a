import { setTimeout as sleep } from "node:timers/promises";

/** Resolves when the condition holds. @throws Error after ten seconds */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never became true: ${holds.toString()}`);
    await sleep(2);
  }
}
