import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isIPv6 } from "node:net";

/** An established TCP connection of a process. */
export interface ProcessSocket {
  readonly localPort: number;
  readonly remotePort: number;
  /** Host and port, as in a URL. */
  readonly remote: string;
}

const ESTABLISHED = "01";

/** Empty where there is no /proc. https://docs.kernel.org/networking/proc_net_tcp.html */
export function processSockets(pid: number): readonly ProcessSocket[] {
  const inodes = socketInodes(pid);
  return ["tcp", "tcp6"].flatMap((file) => (inodes.size === 0 ? [] : sockets(`/proc/${pid}/net/${file}`, inodes)));
}

function sockets(file: string, inodes: ReadonlySet<string>): readonly ProcessSocket[] {
  const [, ...lines] = contents(file).trim().split("\n");
  return lines.flatMap((line) => {
    const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    if (state !== ESTABLISHED || !inodes.has(inode)) return [];
    const remotePort = portOf(remote);
    const host = hostOf(remote.slice(0, remote.indexOf(":")));
    return [{ localPort: portOf(local), remotePort, remote: `${isIPv6(host) ? `[${host}]` : host}:${remotePort}` }];
  });
}

function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(":") + 1), 16);
}

function socketInodes(pid: number): ReadonlySet<string> {
  const folder = `/proc/${pid}/fd`;
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

/** The kernel writes each 32 bits of an address in the order of this machine's bytes, which is little-endian. */
function hostOf(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  if (bytes.length % 4 === 0) bytes.swap32();
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.subarray(0, 12).equals(Buffer.from("00000000000000000000ffff", "hex"))) return bytes.subarray(12).join(".");
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(":");
}

function contents(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it is gone
  }
}
