/**
 * Outlives the lab and removes what it left, also after a SIGKILL, which the lab itself cannot handle. Its standard
 * input is a pipe from the lab, a line for each thing that is to go with it (see reaper.ts); the end of the pipe is the
 * end of the lab.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const ROUNDS = 100;
const tracked = { group: new Set(), variable: new Set(), directory: new Set() };

// Its session is its own, so Ctrl-C at the lab's terminal does not reach it. It ignores signals to its name too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);

function kill(pid) {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false; // gone already
  }
}

/** A process that the lab had no time to name is known by its environment. Linux only; elsewhere groups have to do. */
function marked() {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1")
        .split("\0")
        .some((variable) => tracked.variable.has(variable));
    } catch {
      return false; // gone meanwhile, or somebody else's
    }
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, kind, name] = JSON.parse(line);
  tracked[kind][verb](name);
}
for (const group of tracked.group) kill(-Number(group));
if (process.platform === "linux" && tracked.variable.size > 0) {
  // Again until there is none: one of them may have been about to start another.
  for (let round = 0, found = marked(); found.length > 0 && round < ROUNDS; round += 1, found = marked()) {
    for (const pid of found) kill(Number(pid));
    await sleep(10);
  }
}
for (const directory of tracked.directory) rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
