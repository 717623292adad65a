import { isMainThread } from "../node-modules.ts";
import { isWebFunction } from "../execution-environment.ts";
import { HttpServers, isHttpServer } from "../http-server.ts";
import { install, onShutdown, type SharedState } from "../shutdown.ts";
import { activeHandles } from "./active-handles.ts";
import { Goodbyes } from "./goodbyes.ts";
import { Sockets } from "./sockets.ts";
import { passSignalsOn, takeSignals } from "./workers.ts";

const OLDEST_NODE = 22;

/** The first process that is attached. Its children inherit NODE_OPTIONS: npm may start the function's own process. */
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
  const sockets = new Sockets();
  if (process.env[PROCESS] !== undefined && process.env[PROCESS] !== String(process.pid)) return attachChild(sockets);
  const state = install();
  if (state.isAttached === true) return warn("ERR_LGS_ATTACHED_TWICE", "attach is loaded twice: remove one of them");
  state.isAttached = true;
  process.env[PROCESS] = String(process.pid);
  sockets.watch();
  sayGoodbyes(sockets, state);
  if (isMainThread()) passSignalsOn();
  else takeSignals(state);
  return isMainThread();
}

function sayGoodbyes(sockets: Sockets, state: SharedState): void {
  const servers = isWebFunction() ? new HttpServers() : undefined;
  onShutdown("attach", (context) => {
    for (const handle of activeHandles()) if (isHttpServer(handle)) servers?.hold(handle);
    return new Goodbyes(sockets, state, context, servers).run();
  });
}

/** A child process may listen to SIGTERM to live on, so it is left to its listeners. */
function attachChild(sockets: Sockets): false {
  sockets.watch();
  process.once("SIGTERM", (signal) => {
    if (process.listenerCount(signal) > 0) return;
    sayGoodbyes(sockets, install());
    process.emit(signal, signal);
  });
  return false;
}

/** Extensions get the same NODE_OPTIONS, and so does Node.js on a developer's machine. */
function isFunction(): boolean {
  const { _HANDLER, AWS_LAMBDA_RUNTIME_API } = process.env;
  return (_HANDLER !== undefined && AWS_LAMBDA_RUNTIME_API !== undefined) || isWebFunction();
}

function warn(code: string, problem: string): false {
  const message = `${problem}; the function works, see docs/attach.md`;
  console.warn(JSON.stringify({ event: "attach", level: "WARN", code, message }));
  return false;
}
