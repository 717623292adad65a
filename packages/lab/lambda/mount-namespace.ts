import { spawnSync } from "node:child_process";

/** Replaces /opt for the program that follows, and for nothing else. Lambda's /opt is read-only. */
export const WITH_OPT = 'mount --bind "$0/opt" /opt && mount -o remount,bind,ro /opt && exec "$@"';

/** A user other than root may have namespaces of his own. */
function unshare(): readonly string[] {
  return ["unshare", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount"];
}

/** Each of the programs is replaced by the next, so the process id is that of the last. */
export function withOpt(parent: string, command: readonly string[]): readonly string[] {
  return [...unshare(), "/bin/sh", "-c", WITH_OPT, parent, ...command];
}

/** Whether this process may have a mount namespace with another /opt. */
export function canReplaceOpt(): boolean {
  return canRun([...unshare(), "/bin/sh", "-c", "mount --bind /opt /opt"]);
}

/**
 * @param what needs it, at the beginning of the message
 * @throws if this process may not have a mount namespace
 */
export function checkMountNamespace(what: string): void {
  if (canReplaceOpt()) return;
  const how = process.platform === "linux" ? "run the lab as root" : "run the lab on Linux, as root";
  throw new Error(
    `${what} /opt, which the lab replaces in a mount namespace; ${unshare().join(" ")} does not work here: ${how}, with util-linux and a directory /opt`,
  );
}

export function canRun([program = "", ...options]: readonly string[]): boolean {
  return spawnSync(program, options).status === 0;
}
