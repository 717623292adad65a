"use strict";
/**
 * Preloaded into a Node.js runtime: tells the lab whether the function listens to SIGTERM. From outside nobody can see
 * that, because Node.js itself catches the signal on its main thread, only to die of it:
 * https://github.com/nodejs/node/blob/main/src/node.cc (SignalExit)
 * It leaves no trace that the function would find: no variable, no option in process.execArgv.
 */
const { LAB_SIGTERM_FD } = process.env;
// Only the runtime's own process has it, not its workers or children.
if (LAB_SIGTERM_FD !== undefined) {
  delete process.env.LAB_SIGTERM_FD;
  const option = process.execArgv.indexOf(__filename);
  if (option > 0) process.execArgv.splice(option - 1, 2);
  const { writeSync } = require("node:fs");
  const tell = (state) => {
    try {
      writeSync(Number(LAB_SIGTERM_FD), state);
    } catch {
      // The lab does not read any more.
    }
  };
  process.on("newListener", (event) => {
    if (event === "SIGTERM") tell("+");
  });
  process.on("removeListener", (event) => {
    if (event === "SIGTERM" && process.listenerCount("SIGTERM") === 0) tell("-");
  });
}
