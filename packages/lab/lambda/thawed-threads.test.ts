/** A signal that comes right after a thaw reaches the thread that would get it otherwise. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { threadsWait } from "./thawed-threads";

test("no thread of a process that goes on is stopped or about to run when it resolves", async () => {
  if (process.platform !== "linux") {
    console.warn("not proven here: there is no /proc");
    return;
  }
  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000); console.log('up')"]);
  await once(child.stdout, "data");
  const tasks = `/proc/${child.pid ?? 0}/task`;
  const statesNow = (): readonly (string | undefined)[] =>
    readdirSync(tasks).map((id) => /\) (\w)/.exec(readFileSync(`${tasks}/${id}/stat`, "latin1"))?.[1]);
  const states: (string | undefined)[] = [];
  for (let time = 0; time < 100; time += 1) {
    child.kill("SIGSTOP");
    child.kill("SIGCONT");
    await threadsWait(child.pid);
    states.push(...statesNow());
  }
  child.kill("SIGKILL");
  expect(new Set(states)).toEqual(new Set(["S"]));
});
