import { readFileSync } from "node:fs";
import type { RuntimeNote } from "../lambda/environment-process";
import { processSockets } from "../processes/process-sockets";

/**
 * Connections of processes that pass none of the lab's relays: hard-coded hosts, other servers and Unix sockets. An
 * address each, as often as there are connections. Empty where there is no /proc.
 *
 * @param notes name the paths of Unix sockets, which the kernel lists without
 */
export function unwatchedConnections(
  pids: readonly number[],
  watchedPorts: ReadonlySet<number>,
  notes: readonly RuntimeNote[],
): readonly string[] {
  const tcp = pids.flatMap((pid) => {
    const lambdasOwn = awsPorts(pid);
    return processSockets(pid).filter(({ remotePort }) => !watchedPorts.has(remotePort) && !lambdasOwn.has(remotePort));
  });
  // A child that was forked has its parent's sockets as well.
  const remotes = new Map(tcp.map(({ localPort, remote }) => [`${localPort} ${remote}`, remote]));
  return [
    ...remotes.values(),
    ...notes.flatMap(({ socket }) => (socket?.path === undefined ? [] : `the Unix socket ${socket.path}`)),
  ];
}

/** In words, counted; empty if there are none. */
export function unwatchedInWords(addresses: readonly string[] = []): string {
  return [...new Set(addresses)]
    .map((address) => {
      const count = addresses.filter((each) => each === address).length;
      const how = address.startsWith("the Unix")
        ? "give the handler a host and a port instead"
        : `--tcp NAME=${address}`;
      return `${count} connection${count === 1 ? "" : "s"} to ${address}, which the lab does not watch: ${how}`;
    })
    .join("\n");
}

/** Ports in Lambda's own variables: the Runtime API, and what stands in for AWS. */
function awsPorts(pid: number): ReadonlySet<number> {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    const ports = variables.map((variable) =>
      variable.startsWith("AWS_") ? /:(\d+)\/?$/.exec(variable)?.[1] : undefined,
    );
    return new Set(ports.map(Number));
  } catch {
    return new Set();
  }
}
