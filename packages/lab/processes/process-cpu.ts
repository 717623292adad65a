import { readFileSync } from "node:fs";

/** In /proc, time is counted in ticks, of which Linux shows every program 100 a second (`man 7 time`, USER_HZ). */
const TICK_MS = 10;
/** Fields after the program's name, which may hold anything (`man 5 proc_pid_stat`). */
const FIELDS = { own: 11, ofChildren: 13 };

/** CPU milliseconds that a process has used; NaN where there is no /proc. */
export function processCpuMs(pid: number | undefined): number {
  return pid === undefined ? NaN : ticks(String(pid), FIELDS.own);
}

/** CPU milliseconds that all children of this process have used that have ended; NaN where there is no /proc. */
export function endedChildrenCpuMs(): number {
  return ticks("self", FIELDS.ofChildren);
}

/** User's and system's, which stand side by side. */
function ticks(process: string, field: number): number {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[field]) + Number(fields[field + 1])) * TICK_MS;
  } catch {
    return NaN;
  }
}
