/** A handler that does what the environment (during Init and on SIGTERM) and the event tell it, and notes it. */
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";

const { NOTES, FIRST_INIT, ON_SIGTERM, TICKS } = process.env;
let busy = false;

function note(what) {
  appendFileSync(NOTES, `${JSON.stringify({ what, at: Date.now(), pid: process.pid })}\n`);
}

/** A process of a session of its own, which ignores SIGTERM; as a daemon it has lost its parent as well. */
function detach({ stdio = "ignore", env = process.env, daemon = false }) {
  const script = 'trap "" TERM; sleep 60; true';
  const [options, inherited] = [{ env, detached: true }, stdio === "inherit" ? "inherit" : "ignore"];
  if (!daemon) return spawn("sh", ["-c", script], { ...options, stdio: inherited }).pid;
  const parent = spawnSync("sh", ["-c", `(setsid sh -c '${script}' >/dev/null 2>&1 & echo $!)`], { ...options });
  return Number(parent.stdout);
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
  const detached = (event.detached ?? []).map(detach);
  const child = event.child ? spawn("sh", ["-c", 'trap "" TERM; sleep 30; true'], { stdio: "ignore" }).pid : undefined;
  busy = false;
  const remainingMs = context.getRemainingTimeInMillis();
  return {
    event,
    pid: process.pid,
    child,
    detached,
    remainingMs,
    environment: event.environment ? process.env : undefined,
  };
}
