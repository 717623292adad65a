/** A handler that does what the environment (during Init and on SIGTERM) and the event tell it, and notes it. */
import { spawn } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";

const { NOTES, FIRST_INIT, ON_SIGTERM, TICKS } = process.env;
let busy = false;

function note(what) {
  appendFileSync(NOTES, `${JSON.stringify({ what, at: Date.now(), pid: process.pid })}\n`);
}

function forever() {
  setInterval(() => {}, 1_000);
  return new Promise(() => {});
}

note("init");
const inits = readFileSync(NOTES, "utf8").match(/"init"/g).length;
if (inits === 1 && FIRST_INIT === "throw") throw new RangeError("the first Init fails");
if (inits === 1 && FIRST_INIT === "exit") process.exit(3);
if (inits === 1 && FIRST_INIT === "hang") await forever();
if (TICKS !== undefined) setInterval(() => note("tick"), 10);

const reactions = {
  ignore: () => {},
  exit: () => process.exit(0),
  raise: () => {
    process.removeAllListeners("SIGTERM");
    process.kill(process.pid, "SIGTERM");
  },
};
if (ON_SIGTERM !== undefined) {
  process.on("SIGTERM", () => {
    console.log("SIGTERM arrived");
    note(busy ? "SIGTERM while busy" : "SIGTERM");
    reactions[ON_SIGTERM]();
  });
}

export async function handler(event, context) {
  busy = true;
  if (event.hang) await forever();
  if (event.exit !== undefined) process.exit(event.exit);
  if (event.kill !== undefined) process.kill(process.pid, event.kill);
  if (event.throw !== undefined) throw new RangeError(event.throw);
  const child = event.child ? spawn("sh", ["-c", 'trap "" TERM; sleep 30; true'], { stdio: "ignore" }).pid : undefined;
  busy = false;
  const remainingMs = context.getRemainingTimeInMillis();
  return { event, pid: process.pid, child, remainingMs, environment: event.environment ? process.env : undefined };
}
