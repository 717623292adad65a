import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Memory of a function that has one CPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
const ONE_CPU_MB = 1_769;

/** Microseconds. Short, so that a process of some tens of milliseconds of CPU meets the limit several times. */
const PERIOD_US = 20_000;

export interface CpuShare {
  readonly limited: (command: readonly string[]) => readonly string[];
  remove(): void;
}

/**
 * A control group of the kernel's (version 2 or 1) with a quota of CPU time.
 *
 * @param memoryMb of the function
 * @returns undefined where this process may not make one: it takes root, and a cgroup file system that can be written
 */
export function cpuShare(memoryMb: number): CpuShare | undefined {
  const quotaUs = Math.max(1_000, Math.round((PERIOD_US * memoryMb) / ONE_CPU_MB)); // the kernel takes no less
  const name = `lambda-shutdown-bench-${process.pid}-${memoryMb}`;
  const isVersion2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const group = join(isVersion2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", name);
  try {
    if (isVersion2) writeFileSync("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
    mkdirSync(group);
    if (isVersion2) writeFileSync(join(group, "cpu.max"), `${quotaUs} ${PERIOD_US}`);
    else {
      writeFileSync(join(group, "cpu.cfs_period_us"), String(PERIOD_US));
      writeFileSync(join(group, "cpu.cfs_quota_us"), String(quotaUs));
    }
  } catch {
    return undefined;
  }
  return {
    limited: (command) => ["sh", "-c", 'echo $$ > "$0" && exec "$@"', join(group, "cgroup.procs"), ...command],
    remove: () => {
      rmdirSync(group);
    },
  };
}
