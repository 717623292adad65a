import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { freePort, listens } from "../processes/free-port";
import { programPaths } from "../processes/program-path";
import { ServerProcess, type Account } from "./server-process";

/** A PostgreSQL or Redis server of the lab's own, on a port of 127.0.0.1, without a password. */
export interface ThrowawayTcpServer {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

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
  return start(new ServerProcess(postgres, user), (directory, port) => {
    const data = join(directory, "data");
    const options = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"];
    execFileSync(initdb, ["-D", data, ...options], { stdio: "pipe", cwd: directory, ...user });
    const settings = ["fsync=off", "listen_addresses=127.0.0.1", `unix_socket_directories=${directory}`];
    return ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
  });
}

/** @throws if Redis is not installed, or does not start */
export async function startRedis(): Promise<ThrowawayTcpServer> {
  return start(new ServerProcess(findProgram("redis-server", "redis-server")), (directory, port) => {
    const options = { bind: "127.0.0.1", port: String(port), dir: directory, save: "", appendonly: "no" };
    return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  });
}

async function start(
  server: ServerProcess,
  prepare: (directory: string, port: number) => readonly string[],
): Promise<ThrowawayTcpServer> {
  const port = await freePort();
  try {
    server.launch(prepare(server.directory, port));
    await server.untilReady(async () => {
      if (!(await listens(port))) throw new Error(`nothing listens on port ${port}`);
    });
    return { host: "127.0.0.1", port, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw server.failure(error);
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
