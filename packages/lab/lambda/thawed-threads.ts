import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_EVERY_MS = 1;
/** A busy thread never sleeps. */
const AT_MOST_MS = 100;

/**
 * Resolves when each thread of a process that got SIGCONT waits again for what it waited for. Until then any of them may
 * take the next signal, whichever runs first
 * (`complete_signal` in https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c), and a Python that waits in its
 * main thread hears nothing. A machine that is thawed has no such moment.
 */
export async function threadsWait(pid: number | undefined): Promise<void> {
  const deadline = performance.now() + AT_MOST_MS;
  while (states(pid).some((state) => /^[RT]$/.test(state)) && performance.now() < deadline) await sleep(POLL_EVERY_MS);
}

/** A letter for each thread (`man 5 proc_pid_stat`); none where there is no /proc. */
function states(pid: number | undefined): readonly string[] {
  if (pid === undefined) return [];
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1");
      return stat.charAt(stat.lastIndexOf(")") + 2);
    });
  } catch {
    return [];
  }
}
