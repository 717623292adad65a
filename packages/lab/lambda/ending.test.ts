import { endingOf } from "./ending";
import { KILLED } from "./environment-process";

const ending = (how: string): ReturnType<typeof endingOf> =>
  endingOf([
    { phase: "Shutdown", at: 0, what: "runtime started" },
    { phase: "Shutdown", at: 100, what: "SIGTERM to the runtime" },
    { phase: "Shutdown", at: 400, what: "SIGKILL to the runtime, its 300 ms are over" },
    { phase: "Shutdown", at: 412, what: `runtime gone (${how})` },
  ]);

test("a process that SIGKILL ended did not end by itself", () => {
  expect(ending(KILLED)).toEqual({
    ...{ endedBy: "SIGKILL at its deadline", goneMs: 312, signalAt: 100, killedAfterMs: 300 },
  });
});

test.each(["signal: terminated", "exit status 0"])("SIGKILL came while it ended: %s", (how) => {
  expect(ending(how)).toEqual({ endedBy: "itself", goneMs: 300, signalAt: 100 });
});
