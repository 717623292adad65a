/** A signal that comes right after a thaw reaches the main thread. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mainThreadWaits } from "./main-thread";

test("a stopped process that goes on is neither stopped nor about to run when it resolves", async () => {
  if (process.platform !== "linux") {
    console.warn("not proven here: there is no /proc");
    return;
  }
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const states: (string | undefined)[] = [];
  for (let time = 0; time < 100; time += 1) {
    child.kill("SIGSTOP");
    child.kill("SIGCONT");
    await mainThreadWaits(child.pid);
    states.push(/\) (\w)/.exec(readFileSync(`/proc/${child.pid ?? 0}/stat`, "latin1"))?.[1]);
  }
  child.kill("SIGKILL");
  expect(new Set(states)).toEqual(new Set(["S"]));
});
