import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import mysql, { type RowDataPacket } from "mysql2/promise";
import type { DatabaseServer, Login } from "./database-server";
import { ANSWER_WITHIN_MS, Observer } from "./observer";

/** A server of the lab's own, which may be treated badly. */
export interface ThrowawayServer extends DatabaseServer {
  readonly pid: number;
  /** Runs a statement as one who may do everything, on a connection that is never among the aborted. */
  administer(sql: string, values?: readonly unknown[]): Promise<readonly RowDataPacket[]>;
  /** From now on it answers nobody, but its kernel still accepts connections and data. */
  freeze(): void;
  thaw(): void;
  /** It is gone for good, as after a crash of its machine's; {@link stop} still cleans up. */
  kill(): void;
  /** It crashes and comes back on the same port with the same data; resolves when it lets clients in again. */
  restart(): Promise<void>;
}

export interface ThrowawayServerConfig {
  /**
   * PEM files with what the server shows to clients that ask for TLS.
   * @default - it does not speak TLS
   */
  readonly certificate?: { readonly certificateFile: string; readonly keyFile: string };
}

export interface ServerProgram {
  readonly kind: "mariadbd" | "mysqld";
  readonly file: string;
}

const run = promisify(execFile);

/** Where distributions keep servers; the PATH of a user who is not root leaves these out. */
export const DIRECTORIES_BESIDE_PATH = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];
const READY_WITHIN_MS = 30_000;
const POLL_EVERY_MS = 20;
const PORT_ATTEMPTS = 3;
const LOG_TAIL_LENGTH = 2_000;

export async function findServerProgram(kind: "mariadbd" | "mysqld" | undefined): Promise<ServerProgram | undefined> {
  const directories = [...(process.env["PATH"] ?? "").split(path.delimiter), ...DIRECTORIES_BESIDE_PATH];
  for (const name of ["mariadbd", "mysqld"]) {
    for (const directory of directories.filter((directory) => path.isAbsolute(directory))) {
      const file = path.join(directory, name);
      try {
        fs.accessSync(file, fs.constants.X_OK);
      } catch {
        continue;
      }
      // What is called mysqld may be MariaDB, which is set up in another way.
      const { stdout } = await run(file, ["--no-defaults", "--version"]);
      const program: ServerProgram = { kind: stdout.includes("MariaDB") ? "mariadbd" : "mysqld", file };
      if (kind === undefined || kind === program.kind) return program;
    }
  }
  return undefined;
}

export async function startThrowawayServer(
  program: ServerProgram,
  config: ThrowawayServerConfig = {},
): Promise<ThrowawayServer> {
  const systemTables = program.kind === "mariadbd" ? await readSystemTables(program) : "";
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnPort(await findFreePort(), program, systemTables, config);
    } catch (error) {
      // Somebody else may have taken the port between our finding it free and the server's listening on it.
      const portWasTaken = messageOf(error).includes("Bind on TCP/IP port");
      if (!portWasTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/**
 * The statements that create MariaDB's system tables. `mariadb-install-db` feeds them to the server, too, along with
 * help texts and time zones that nobody needs here; and it does not run where only Debian's mariadb-server-core is
 * installed, for want of my_print_defaults.
 */
async function readSystemTables(program: ServerProgram): Promise<string> {
  const { stdout } = await run(program.file, ["--no-defaults", "--verbose", "--help"], { maxBuffer: 16 * 1024 * 1024 });
  const charsets = /^character-sets-dir\s+(\S.*?)\s*$/m.exec(stdout)?.[1] ?? "/usr/share/mysql/charsets";
  const directory = path.dirname(charsets);
  const names = ["mariadb_system_tables.sql", "mysql_system_tables.sql"];
  const file = names.map((name) => path.join(directory, name)).find((candidate) => fs.existsSync(candidate));
  if (file === undefined) throw new Error(`${program.file} came without ${names.join(" or ")} in ${directory}`);
  // In this mode the server takes a line for a statement.
  return `CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n${fs.readFileSync(file, "utf8")}`;
}

async function findFreePort(): Promise<number> {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

// The server's guardian outlives the lab, however the lab ends: its standard input is a pipe from the lab, and when that
// comes to its end, the server is killed and the directory removed. The lab stops the server by the same way, closing the
// pipe, so there is one way for it to end and it is used every time. Nothing in the directory is worth a slow shutdown.
// A line on the pipe is for a restart: the server is killed as well, and started anew.
const GUARDIAN = `
program=$1 directory=$2 initialize=$3
exec 3<&0 4>&2 </dev/null >/dev/null 2>&1
trap : HUP INT TERM
if read -r _ <&3 &&
  "$program" --defaults-file="$directory/my.cnf" "$initialize" <"$directory/system-tables.sql" 3<&- >&4 2>&4 4>&-
then
  while
    "$program" --defaults-file="$directory/my.cnf" --init-file="$directory/accounts.sql" 3<&- >&4 2>&4 4>&- &
    server=$!
    { read -r _ <&3 && : >"$directory/again"; kill -KILL "$server"; } 4>&- &
    wait "$server"
    kill -KILL "$server" "$!"
    wait
    rm "$directory/again"
  do :; done
fi
rm -rf "$directory"
`;

async function startOnPort(
  port: number,
  program: ServerProgram,
  systemTables: string,
  { certificate }: ThrowawayServerConfig,
): Promise<ThrowawayServer> {
  const directory = path.join(os.tmpdir(), `lab-${randomBytes(6).toString("hex")}`);
  const login = { host: "127.0.0.1", port, user: "lab", password: randomBytes(16).toString("hex"), database: "lab" };
  const observerPassword = randomBytes(16).toString("hex");

  const initialize = program.kind === "mariadbd" ? "--bootstrap" : "--initialize-insecure";
  const guardian = spawn("/bin/sh", ["-c", GUARDIAN, "lab-database", program.file, directory, initialize], {
    // In a session of its own, where no Ctrl-C at the lab's terminal reaches it.
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
  });
  const guardianEnded = once(guardian, "close");
  // Written to after it has ended: its exit says more than the pipe does.
  guardian.stdin.on("error", () => undefined);
  let log = "";
  guardian.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-LOG_TAIL_LENGTH);
  });

  // Synchronously and only now, so that there is no moment at which the directory exists and its guardian does not.
  fs.mkdirSync(directory, { mode: 0o700 });
  fs.mkdirSync(path.join(directory, "data"));
  fs.writeFileSync(path.join(directory, "my.cnf"), optionFile(directory, port, certificate));
  fs.writeFileSync(path.join(directory, "system-tables.sql"), systemTables);
  fs.writeFileSync(path.join(directory, "accounts.sql"), accounts(login, observerPassword));
  guardian.stdin.write("begin\n");

  const observer = new Observer({
    ...{ host: login.host, port, user: "observer", password: observerPassword },
    connectTimeout: ANSWER_WITHIN_MS,
  });
  const stop = async (): Promise<void> => {
    guardian.stdin.end();
    await guardianEnded;
    await observer.leave();
  };

  const pidFile = path.join(directory, "pid");
  const readPid = (): number => Number(fs.readFileSync(pidFile, "utf8"));
  try {
    const version = await firstAnswer(observer, guardian);
    let pid = readPid();
    return {
      ...login,
      kind: program.kind,
      description: `${version} (${program.file}, throwaway data directory)`,
      get pid() {
        return pid;
      },
      heldThreads: (ids) => observer.heldThreads(ids),
      abortedClients: () => observer.abortedClients(),
      administer: (sql, values) => observer.ask(sql, values),
      freeze: () => process.kill(pid, "SIGSTOP"),
      thaw: () => process.kill(pid, "SIGCONT"),
      kill: () => process.kill(pid, "SIGKILL"),
      restart: async () => {
        // The new server writes the file anew: an answer after that cannot be one of the old server's.
        fs.rmSync(pidFile);
        guardian.stdin.write("again\n");
        await firstAnswer(observer, guardian, () => fs.existsSync(pidFile));
        pid = readPid();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`${program.file} did not start: ${messageOf(error)}; the end of its log:\n${log}`, {
      cause: error,
    });
  }
}

/** The server carries accounts.sql out before it lets anyone in: who can log in finds it complete. */
async function firstAnswer(
  observer: Observer,
  guardian: ChildProcess,
  mayAnswer: () => boolean = () => true,
): Promise<string> {
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    if (guardian.exitCode !== null || guardian.signalCode !== null) throw new Error("it ended");
    try {
      const version = await observer.version();
      if (mayAnswer()) return version;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(POLL_EVERY_MS);
  }
}

function optionFile(directory: string, port: number, certificate: ThrowawayServerConfig["certificate"]): string {
  const options = [
    `datadir=${directory}/data`,
    `tmpdir=${directory}`,
    `secure-file-priv=${directory}`,
    `pid-file=${directory}/pid`,
    // A socket's path may have 107 bytes, 103 on macOS: hence the short names.
    `socket=${directory}/s`,
    "loose-mysqlx=0",
    "bind-address=127.0.0.1",
    `port=${port}`,
    ...(certificate === undefined
      ? []
      : [`ssl-cert=${certificate.certificateFile}`, `ssl-key=${certificate.keyFile}`, "tls-version=TLSv1.2,TLSv1.3"]),
    "skip-name-resolve",
    ...(process.getuid?.() === 0 ? ["user=root"] : []),
    // Nothing here has to survive a crash, so nothing is written twice or waited for.
    "skip-log-bin",
    "innodb-flush-log-at-trx-commit=0",
    "innodb-doublewrite=0",
    "innodb-buffer-pool-size=16M",
    "innodb-autoextend-increment=1",
    "loose-innodb-log-file-size=4M",
    // For storms of environments, each with a pool.
    "max-connections=2000",
    "max-allowed-packet=64M",
  ];
  return `[mysqld]\n${options.join("\n")}\n`;
}

/** Carried out on a restart as well, when all of it exists, perhaps with another password. */
function accounts(login: Login, observerPassword: string): string {
  return [
    mysql.format("CREATE DATABASE IF NOT EXISTS ??", [login.database]),
    mysql.format("CREATE USER IF NOT EXISTS ?@'127.0.0.1' IDENTIFIED BY ?", [login.user, login.password]),
    mysql.format("GRANT ALL ON ??.* TO ?@'127.0.0.1'", [login.database, login.user]),
    mysql.format("CREATE USER IF NOT EXISTS 'observer'@'127.0.0.1' IDENTIFIED BY ?", [observerPassword]),
    "GRANT ALL ON *.* TO 'observer'@'127.0.0.1'",
  ]
    .map((statement) => `${statement};\n`)
    .join("");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
