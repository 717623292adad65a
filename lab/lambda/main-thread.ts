import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_EVERY_MS = 1;
/** A busy thread never sleeps. */
const AT_MOST_MS = 50;

/**
 * Resolves when the main thread of a process that got SIGCONT waits again for what it waited for. Until then the kernel
 * may give the next signal to another thread (`complete_signal` in https://github.com/torvalds/linux/blob/v6.12/kernel/signal.c),
 * and a Python that waits in its main thread hears nothing. A machine that is thawed has no such moment.
 */
export async function mainThreadWaits(pid: number | undefined): Promise<void> {
  const deadline = performance.now() + AT_MOST_MS;
  while (/^[RT]$/.test(stateOf(pid)) && performance.now() < deadline) await sleep(POLL_EVERY_MS);
}

/** A letter (`man 5 proc_pid_stat`); empty where there is no /proc. */
function stateOf(pid: number | undefined): string {
  if (pid === undefined) return "";
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2);
  } catch {
    return "";
  }
}
