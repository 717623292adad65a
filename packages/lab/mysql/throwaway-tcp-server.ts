import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, readdirSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../processes/free-port";
import { programPaths } from "../processes/program-path";
import { temporaryDirectory, track } from "../processes/reaper";

/** A PostgreSQL or Redis server of the lab's own, on a port of 127.0.0.1, without a password. */
export interface ThrowawayTcpServer {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 30_000;
const POLL_EVERY_MS = 20;
const DEBIAN_POSTGRESQL = "/usr/lib/postgresql";

/**
 * The user is `postgres`, every password is right.
 *
 * @throws if PostgreSQL is not installed, or does not start
 */
export async function startPostgresql(): Promise<ThrowawayTcpServer> {
  const initdb = findProgram("initdb", "postgresql");
  const postgres = findProgram("postgres", "postgresql");
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? accountOf("postgres") : undefined;
  return start(user, async (directory, port) => {
    const data = join(directory, "data");
    const options = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"];
    execFileSync(initdb, ["-D", data, ...options], { stdio: "pipe", cwd: directory, ...user });
    const settings = ["fsync=off", "listen_addresses=127.0.0.1", `unix_socket_directories=${directory}`];
    const args = ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
    return Promise.resolve([postgres, args]);
  });
}

/** @throws if Redis is not installed, or does not start */
export async function startRedis(): Promise<ThrowawayTcpServer> {
  const redis = findProgram("redis-server", "redis-server");
  return start(undefined, (directory, port) => {
    const options = { bind: "127.0.0.1", port: String(port), dir: directory, save: "", appendonly: "no" };
    return Promise.resolve([redis, Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])]);
  });
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

async function start(
  user: Account | undefined,
  prepare: (directory: string, port: number) => Promise<readonly [program: string, args: readonly string[]]>,
): Promise<ThrowawayTcpServer> {
  const temporary = temporaryDirectory();
  const directory = join(temporary.path, "s");
  const port = await freePort();
  const release = track("variable", `LAB_SERVER=${directory}`);
  let server: ChildProcess | undefined;
  let log = "";
  const stop = async (): Promise<void> => {
    if (server?.pid !== undefined && server.exitCode === null && server.signalCode === null) {
      server.kill("SIGKILL");
      await once(server, "close");
    }
    temporary.remove();
    release();
  };
  try {
    mkdirSync(directory);
    if (user !== undefined) for (const path of [temporary.path, directory]) chownSync(path, user.uid, user.gid);
    const [program, args] = await prepare(directory, port);
    server = spawn(program, args, {
      cwd: directory,
      env: { PATH: process.env["PATH"], LAB_SERVER: directory },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      ...user,
    });
    server.on("error", (error) => (log += error.message));
    for (const stream of [server.stdout, server.stderr]) stream?.on("data", (text: Buffer) => (log += text.toString()));
    await untilItListens(server, port);
    return { host: "127.0.0.1", port, stop };
  } catch (error) {
    await stop();
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${log.slice(-2_000)}`, {
      cause: error,
    });
  }
}

async function untilItListens(server: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    if (server.pid === undefined || server.exitCode !== null) throw new Error(`${server.spawnfile} did not start`);
    const socket = net.connect(port, "127.0.0.1");
    const [isThere] = await Promise.race([
      once(socket, "connect").then(() => [true]),
      once(socket, "close").then(() => [false]),
    ]).catch(() => [false]);
    socket.destroy();
    if (isThere === true) return;
    if (performance.now() > deadline) throw new Error(`${server.spawnfile} does not listen`);
    await sleep(POLL_EVERY_MS);
  }
}

/** Debian keeps PostgreSQL's programs in a directory of their version. */
function findProgram(name: string, debianPackage: string): string {
  const versions = ((): readonly string[] => {
    try {
      return readdirSync(DEBIAN_POSTGRESQL).sort((a, b) => Number(b) - Number(a));
    } catch {
      return [];
    }
  })();
  const [path] = programPaths(
    name,
    versions.map((version) => join(DEBIAN_POSTGRESQL, version, "bin")),
  );
  if (path !== undefined) return path;
  throw new Error(`${name} is not on the PATH; on Debian: apt-get install ${debianPackage}`);
}

function accountOf(name: string): Account {
  const id = (option: string): number => Number(spawnSync("id", [option, name], { encoding: "utf8" }).stdout);
  return { uid: id("-u"), gid: id("-g") };
}
