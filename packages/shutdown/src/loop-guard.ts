import { now } from "./clock.ts";
import { asyncHooks } from "./node-modules.ts";

/**
 * A caller that repeats a refused query in a loop of promises or ticks (`for (;;) await query().catch(…)`) keeps the
 * event loop from its timers. This calls back from within such a loop when the time is over.
 */
export function guardLoop(deadline: number, onStarved: () => void): { disable(): unknown } {
  const hook = asyncHooks.createHook({
    before: () => {
      if (now() < deadline) return;
      hook.disable();
      onStarved();
    },
  });
  return hook.enable();
}
