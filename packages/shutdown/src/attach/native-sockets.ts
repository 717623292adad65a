import { fs } from "../node-modules.ts";

const ESTABLISHED = "01";
const LISTEN = "0A";

/** Little-endian, as /proc/net/tcp has it: 169.254 of AWS's own services ends in FEA9. */
const AWS_ADDRESS = /FEA9$/;

/**
 * TCP connections of this process that no JavaScript has opened: a native driver's. Linux only, 0 elsewhere.
 *
 * @param known sockets of JavaScript, and other handles
 */
export function countNativeSockets(
  known: readonly unknown[],
  runtimeApi = process.env["AWS_LAMBDA_RUNTIME_API"],
): number {
  try {
    const inodes = new Set(fs.readdirSync("/proc/self/fd").flatMap((fd) => inodeOf(fd) ?? []));
    const lines = ["tcp", "tcp6"].flatMap((table) =>
      fs.readFileSync(`/proc/self/net/${table}`, "latin1").split("\n").slice(1),
    );
    const own = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => inodes.has(fields[9] ?? ""));
    const ports = new Set(known.map((handle) => (handle as { readonly localPort?: number }).localPort));
    for (const [, local = "", , state] of own) if (state === LISTEN) ports.add(portOf(local));
    const apiPort = Number(runtimeApi?.split(":")[1] ?? 80);
    return own.filter(([, local = "", remote = "", state]) => {
      const isAws = AWS_ADDRESS.test(remote.split(":")[0] ?? "") || portOf(remote) === apiPort;
      return state === ESTABLISHED && !isAws && !ports.has(portOf(local));
    }).length;
  } catch {
    return 0;
  }
}

function inodeOf(fd: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  } catch {
    return undefined; // the directory's own descriptor is closed again
  }
}

function portOf(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}
