import type { Changes } from "./changes";
import { KILLED, listensToSigterm, signalGroup, type EnvironmentProcess } from "./environment-process";
import { StarvationWatch, type Starvation } from "./starvation";

/** How a process ended that got SIGTERM, and SIGKILL when its time was over. */
export interface Termination {
  readonly endedBy: "itself" | "SIGKILL at its deadline";
  /** Milliseconds since SIGTERM. */
  readonly runtimeMs: number;
  /** SIGTERM ended it, and it did not listen to it. */
  readonly unheard?: true;
  readonly starved?: Starvation;
}

/** @param onKill is called before SIGKILL is sent */
export async function terminate(
  runtime: EnvironmentProcess,
  budgetMs: number,
  changes: Changes,
  onKill: () => void = () => undefined,
): Promise<{ readonly how: string; readonly ended: Termination }> {
  const begun = performance.now();
  const listens = listensToSigterm(runtime);
  const watch = new StarvationWatch(runtime.child.pid ?? 0);
  signalGroup(runtime.child, "SIGTERM");
  const leftInTime = await changes.until(begun + budgetMs, () => runtime.isGone);
  if (!leftInTime) {
    watch.sample();
    onKill();
    signalGroup(runtime.child, "SIGKILL");
  }
  const overAt = performance.now();
  const how = await runtime.gone;
  const starved = watch.stop(budgetMs);
  const isKilled = !leftInTime && how === KILLED;
  const ended: Termination = {
    endedBy: isKilled ? "SIGKILL at its deadline" : "itself",
    // If SIGKILL found it ending, the kernel was freeing its memory, which takes milliseconds.
    runtimeMs: (isKilled ? performance.now() : overAt) - begun,
    ...(listens === false && how === "signal: terminated" ? { unheard: true } : {}),
    ...(starved === undefined ? {} : { starved }),
  };
  return { how, ended };
}
