import { isMainThread } from "../node-modules.ts";
import { isWebFunction } from "../execution-environment.ts";
import { onShutdown, install } from "../shutdown.ts";
import { Goodbyes } from "./goodbyes.ts";
import { Sockets } from "./sockets.ts";
import { passSignalsOn, takeSignals } from "./workers.ts";

const OLDEST_NODE = 22;

/** The process that is attached. Its children inherit NODE_OPTIONS, and are not the function. */
const PROCESS = "LAMBDA_GRACEFUL_SHUTDOWN_PID";

/**
 * Watches the function's connections, and gives them back at SIGTERM.
 *
 * @returns whether this thread is to register the extension
 */
export function attach(): boolean {
  if (!isFunction()) return false;
  const major = Number.parseInt(process.versions.node, 10);
  if (major < OLDEST_NODE)
    return warn(
      "ERR_LGS_NODE_VERSION",
      `Node.js ${process.versions.node} is too old, at least ${OLDEST_NODE} is needed`,
    );
  const state = install();
  if (state.isAttached === true) return warn("ERR_LGS_ATTACHED_TWICE", "attach is loaded twice: remove one of them");
  state.isAttached = true;
  process.env[PROCESS] = String(process.pid);
  const sockets = new Sockets();
  sockets.watch();
  onShutdown("attach", (context) => new Goodbyes(sockets, state, context).run());
  if (isMainThread()) passSignalsOn();
  else takeSignals(state);
  return isMainThread();
}

/** Extensions and child processes get the same NODE_OPTIONS, and so does Node.js on a developer's machine. */
function isFunction(): boolean {
  const { _HANDLER, AWS_LAMBDA_RUNTIME_API, [PROCESS]: attached = String(process.pid) } = process.env;
  const isRuntime = _HANDLER !== undefined && AWS_LAMBDA_RUNTIME_API !== undefined;
  return (isRuntime || isWebFunction()) && attached === String(process.pid);
}

function warn(code: string, problem: string): false {
  const message = `${problem}; the function works, see docs/attach.md`;
  console.warn(JSON.stringify({ event: "attach", level: "WARN", code, message }));
  return false;
}
