import { setTimeout as sleep } from "node:timers/promises";
import type { ShutdownHook } from "lambda-graceful-shutdown";
import { writeLog } from "./log.ts";

/** A hook that does what hooks of a template's users will do one day. */
export function faultyHook(how: string): ShutdownHook {
  switch (how) {
    case "throws":
      return () => {
        throw new Error("thrown by a hook");
      };
    case "rejects":
      return async () => {
        await sleep(10);
        throw new Error("rejected by a hook");
      };
    case "never":
      return () => new Promise<never>(() => undefined);
    case "blocks":
      return () => {
        const end = performance.now() + 200;
        while (performance.now() < end);
      };
    case "slow":
      return async () => sleep(80);
    case "logs":
      return () => {
        writeLog(1_000_000);
      };
    default:
      throw new Error(`FAULT_HOOK "${how}" is not one of throws, rejects, never, blocks, slow, logs`);
  }
}
