import { setTimeout as sleep } from "node:timers/promises";
import type { ShutdownHook } from "lambda-graceful-shutdown";
import { writeLog } from "./log.ts";

const HOOKS: Readonly<Record<string, ShutdownHook>> = {
  throws: () => {
    throw new Error("thrown by a hook");
  },
  rejects: async () => {
    await sleep(10);
    throw new Error("rejected by a hook");
  },
  never: () => new Promise<never>(() => undefined),
  blocks: () => {
    const end = performance.now() + 200;
    while (performance.now() < end);
  },
  slow: () => sleep(80),
  logs: () => {
    writeLog(1_000_000);
  },
};

/** A hook that does what hooks of a template's users will do one day. */
export function faultyHook(how: string): ShutdownHook {
  const hook = HOOKS[how];
  if (hook !== undefined) return hook;
  throw new Error(`FAULT_HOOK "${how}" is not one of ${Object.keys(HOOKS).join(", ")}`);
}
