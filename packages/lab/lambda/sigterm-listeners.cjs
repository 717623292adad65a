"use strict";
/**
 * Preloaded into a Node.js runtime: tells the lab whether the function listens to SIGTERM, where its code opened each
 * client socket, where it called process.exit(), and which error nobody caught. From outside nobody can see that:
 * Node.js itself catches SIGTERM on its main thread (https://github.com/nodejs/node/blob/main/src/node.cc, SignalExit).
 * The function finds no variable of the lab's, and no option in process.execArgv.
 * Each note is one line of JSON.
 */
const { getEnvironmentData, isMainThread, setEnvironmentData } = require("node:worker_threads");
const { writeSync } = require("node:fs");
const net = require("node:net");

const { LAB_SIGTERM_FD } = process.env;
// Only the runtime's own process and its worker threads have it, not its children.
const descriptor = isMainThread ? LAB_SIGTERM_FD : getEnvironmentData("LAB_SIGTERM_FD");
if (descriptor !== undefined) {
  noteSockets();
  if (isMainThread) {
    hide();
    noteListeners();
    noteExits();
  }
}

function hide() {
  delete process.env.LAB_SIGTERM_FD;
  setEnvironmentData("LAB_SIGTERM_FD", descriptor);
  const option = process.execArgv.indexOf(__filename);
  if (option > 0) process.execArgv.splice(option - 1, 2);
}

function tell(note) {
  try {
    writeSync(Number(descriptor), `${JSON.stringify(note)}\n`);
  } catch {
    // The lab does not read any more.
  }
}

function noteListeners() {
  process.on("newListener", (event) => {
    if (event === "SIGTERM") tell({ listens: true });
  });
  process.on("removeListener", (event) => {
    if (event === "SIGTERM" && process.listenerCount("SIGTERM") === 0) tell({ listens: false });
  });
  process.on("uncaughtExceptionMonitor", (error) => {
    tell({ uncaught: String(error?.stack ?? error) });
  });
}

function noteSockets() {
  const { connect } = net.Socket.prototype;
  net.Socket.prototype.connect = function (...args) {
    const stack = framesAbove(net.Socket.prototype.connect);
    const result = Reflect.apply(connect, this, args);
    const [target] = Array.isArray(args[0]) ? args[0] : args;
    const path = typeof target === "string" && !/^\d+$/.test(target) ? target : target?.path;
    this.prependOnceListener("connect", () => {
      const { localPort, remoteAddress, remotePort } = this;
      tell({
        socket: { localPort, remoteAddress, remotePort, path: remotePort === undefined ? path : undefined, stack },
      });
    });
    return result;
  };
}

function noteExits() {
  // The lab's own client replaces process.reallyExit, so the replacement tells as well.
  const telling = (reallyExit) =>
    function exit(...args) {
      tell({ exit: framesAbove(exit) });
      return Reflect.apply(reallyExit, this, args);
    };
  let current = telling(process.reallyExit);
  Object.defineProperty(process, "reallyExit", {
    get: () => current,
    set: (replacement) => {
      current = telling(replacement);
    },
    configurable: true,
    enumerable: true,
  });
}

/** File, line and column of each call, without Node.js's own. */
function framesAbove(callee) {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  Error.prepareStackTrace = (_, sites) =>
    sites.flatMap((site) => {
      const file = site.getFileName();
      if (typeof file !== "string" || file.startsWith("node:")) return [];
      return [{ file, line: site.getLineNumber(), column: site.getColumnNumber() }];
    });
  const holder = {};
  Error.captureStackTrace(holder, callee);
  const { stack } = holder;
  Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  return stack;
}
