import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isStarved, StarvationWatch } from "./starvation";

const onLinux = existsSync("/proc/self/schedstat") ? test : test.skip;
const BUSY = "for (;;);";

test.each([
  [0, 300, false],
  [100, 300, false],
  [101, 300, true],
  [160, 500, false],
  [600, 500, true],
])("a wait of %i ms of a budget of %i ms is starvation: %p", (waitMs, budgetMs, wanted) => {
  expect(isStarved({ waitMs, budgetMs })).toBe(wanted);
});

onLinux("a process that shares a CPU with many is starved, and its figures are told", async () => {
  const busy = Array.from({ length: 6 * availableParallelism() }, () =>
    spawn(process.execPath, ["-e", BUSY], { stdio: "ignore" }),
  );
  try {
    await sleep(500);
    const watch = new StarvationWatch(busy[0]?.pid ?? 0);
    await sleep(1_000);
    watch.sample();
    const starved = watch.stop(300);
    expect(starved).toMatchObject({ budgetMs: 300, load: expect.any(Number) as number });
    expect(starved?.waitMs).toBeGreaterThan(100);
    expect(starved?.cpuMs).toBeGreaterThan(0);
  } finally {
    for (const each of busy) each.kill("SIGKILL");
  }
});

onLinux("a process that sleeps is not starved", async () => {
  const idle = spawn("sleep", ["10"]);
  const watch = new StarvationWatch(idle.pid ?? 0);
  await sleep(100);
  expect(watch.stop(100_000)).toBeUndefined();
  idle.kill("SIGKILL");
});
