import { spawn } from "node:child_process";
import { constants } from "node:os";

/** Resolves with the exit code. A signal that reaches this process alone is passed on. */
export function runNode(...command) {
  const child = spawn(process.execPath, command, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}
