import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isIPv6 } from "node:net";
import type { RuntimeNote } from "../lambda/environment-process";

const ESTABLISHED = "01";

/**
 * Connections of a process that pass none of the lab's relays: hard-coded hosts, other servers and Unix sockets. An
 * address each, as often as there are connections. Empty where there is no /proc.
 *
 * @param notes name the paths of Unix sockets, which the kernel lists without
 */
export function unwatchedConnections(
  pid: number | undefined,
  watchedPorts: ReadonlySet<number>,
  notes: readonly RuntimeNote[],
): readonly string[] {
  const inodes = socketInodes(pid);
  const tcp = ["tcp", "tcp6"].flatMap((file) => remoteAddresses(`/proc/${pid ?? 0}/net/${file}`, inodes));
  const lambdasOwn = awsPorts(pid);
  const others = tcp.filter(({ port }) => !watchedPorts.has(port) && !lambdasOwn.has(port));
  return [
    ...others.map(({ host, port }) => `${isIPv6(host) ? `[${host}]` : host}:${port}`),
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
function awsPorts(pid: number | undefined): ReadonlySet<number> {
  try {
    const variables = readFileSync(`/proc/${pid ?? 0}/environ`, "utf8").split("\0");
    const ports = variables.map((variable) =>
      variable.startsWith("AWS_") ? /:(\d+)\/?$/.exec(variable)?.[1] : undefined,
    );
    return new Set(ports.map(Number));
  } catch {
    return new Set();
  }
}

function socketInodes(pid: number | undefined): ReadonlySet<string> {
  const folder = `/proc/${pid ?? 0}/fd`;
  try {
    return new Set(
      readdirSync(folder).flatMap((name) => {
        const target = linkTarget(`${folder}/${name}`);
        return target.startsWith("socket:[") ? target.slice("socket:[".length, -1) : [];
      }),
    );
  } catch {
    return new Set(); // it is gone, or this is not Linux
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed in the meantime
  }
}

/** https://docs.kernel.org/networking/proc_net_tcp.html */
function remoteAddresses(
  file: string,
  inodes: ReadonlySet<string>,
): { readonly host: string; readonly port: number }[] {
  if (inodes.size === 0) return [];
  const [, ...lines] = readFileSync(file, "utf8").trim().split("\n");
  return lines.flatMap((line) => {
    const [, , remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const [address = "", port = ""] = remote.split(":");
    if (state !== ESTABLISHED || !inodes.has(inode)) return [];
    return [{ host: hostOf(address), port: Number.parseInt(port, 16) }];
  });
}

/** The kernel writes each 32 bits of an address in the order of this machine's bytes, which is little-endian. */
function hostOf(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  if (bytes.length % 4 === 0) bytes.swap32();
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.subarray(0, 12).equals(Buffer.from("00000000000000000000ffff", "hex"))) return bytes.subarray(12).join(".");
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(":");
}
