import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import mysql, { type RowDataPacket } from "mysql2/promise";
import type { ServerCertificate } from "#fake-mysql";
import type { DatabaseServer, Login } from "./server";
import { ANSWER_WITHIN_MS, Observer } from "./observer";
import { freePort } from "../processes/free-port";
import { programPaths } from "../processes/program-path";
import { ServerProcess } from "./server-process";

/** A server of the lab's own, which faults may stop and kill. */
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
  /** What the server shows to clients that ask for TLS. @default - no TLS */
  readonly certificate?: ServerCertificate;
}

export interface ServerProgram {
  readonly kind: "mariadbd" | "mysqld";
  readonly file: string;
}

const run = promisify(execFile);

/** Where distributions keep servers; the PATH of a user who is not root leaves these out. */
export const DIRECTORIES_BESIDE_PATH = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];
const PORT_ATTEMPTS = 3;

export async function findServerProgram(kind: "mariadbd" | "mysqld" | undefined): Promise<ServerProgram | undefined> {
  for (const file of ["mariadbd", "mysqld"].flatMap((name) => programPaths(name, DIRECTORIES_BESIDE_PATH))) {
    // What is called mysqld may be MariaDB, which is set up in another way.
    const { stdout } = await run(file, ["--no-defaults", "--version"]);
    const program: ServerProgram = { kind: stdout.includes("MariaDB") ? "mariadbd" : "mysqld", file };
    if (kind === undefined || kind === program.kind) return program;
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
      return await startOnPort(await freePort(), program, systemTables, config);
    } catch (error) {
      // Somebody else may have taken the port between our finding it free and the server's listening on it.
      const portWasTaken = String(error).includes("Bind on TCP/IP port");
      if (!portWasTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/**
 * The statements that create MariaDB's system tables. `mariadb-install-db` feeds them to the server, too, along with
 * help texts and time zones that nobody needs here; and it does not run where only Debian's mariadb-server-core is
 * installed, because my_print_defaults is missing there.
 */
async function readSystemTables(program: ServerProgram): Promise<string> {
  const { stdout } = await run(program.file, ["--no-defaults", "--verbose", "--help"], { maxBuffer: 16 * 1024 * 1024 });
  const charsets = /^character-sets-dir[ \t]+(\S.*)$/m.exec(stdout)?.[1]?.trim() ?? "/usr/share/mysql/charsets";
  const directory = path.dirname(charsets);
  const names = ["mariadb_system_tables.sql", "mysql_system_tables.sql"];
  const file = names.map((name) => path.join(directory, name)).find((candidate) => fs.existsSync(candidate));
  if (file === undefined) throw new Error(`${program.file} came without ${names.join(" or ")} in ${directory}`);
  // In this mode the server takes a line for a statement.
  return `CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n${fs.readFileSync(file, "utf8")}`;
}

async function startOnPort(
  port: number,
  program: ServerProgram,
  systemTables: string,
  { certificate }: ThrowawayServerConfig,
): Promise<ThrowawayServer> {
  const server = new ServerProcess(program.file);
  const { directory } = server;
  const login = { host: "127.0.0.1", port, user: "lab", password: randomBytes(16).toString("hex"), database: "lab" };
  const observed = { host: login.host, port, user: "observer", password: randomBytes(16).toString("hex") };
  const observer = new Observer({ ...observed, connectTimeout: ANSWER_WITHIN_MS });
  fs.mkdirSync(path.join(directory, "data"));
  fs.writeFileSync(path.join(directory, "my.cnf"), optionFile(directory, port, certificate));
  fs.writeFileSync(path.join(directory, "system-tables.sql"), systemTables);
  fs.writeFileSync(path.join(directory, "accounts.sql"), accounts(login, observed.password));
  const stop = async (): Promise<void> => {
    await server.stop();
    await observer.leave();
  };
  try {
    await initialize(server, program.kind);
    const version = await start(server, observer);
    return {
      ...login,
      kind: program.kind,
      description: `${version} (${program.file}, throwaway data directory)`,
      ...controls(server, observer),
      get pid() {
        return server.pid;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw server.failure(error);
  }
}

type Controls = Omit<ThrowawayServer, keyof Login | "kind" | "description" | "pid" | "stop">;

function controls(server: ServerProcess, observer: Observer): Controls {
  return {
    heldThreads: (ids) => observer.heldThreads(ids),
    abortedClients: () => observer.abortedClients(),
    administer: (sql, values) => observer.ask(sql, values),
    freeze: () => server.signal("SIGSTOP"),
    thaw: () => server.signal("SIGCONT"),
    kill: () => server.signal("SIGKILL"),
    restart: async () => {
      await server.kill();
      await start(server, observer);
    },
  };
}

async function initialize(server: ServerProcess, kind: ServerProgram["kind"]): Promise<void> {
  const input = fs.openSync(path.join(server.directory, "system-tables.sql"), "r");
  try {
    const option = kind === "mariadbd" ? "--bootstrap" : "--initialize-insecure";
    const initializing = server.launch([`--defaults-file=${server.directory}/my.cnf`, option], input);
    await server.ended();
    if (initializing.exitCode !== 0) throw new Error("it could not be initialized");
  } finally {
    fs.closeSync(input);
  }
}

/** The server runs accounts.sql before it accepts connections, so a log-in finds it complete. @returns its version */
async function start(server: ServerProcess, observer: Observer): Promise<string> {
  const { directory } = server;
  server.launch([`--defaults-file=${directory}/my.cnf`, `--init-file=${directory}/accounts.sql`]);
  return server.untilReady(() => observer.version());
}

function optionFile(directory: string, port: number, certificate: ThrowawayServerConfig["certificate"]): string {
  const options = [
    `datadir=${directory}/data`,
    `tmpdir=${directory}`,
    `secure-file-priv=${directory}`,
    `pid-file=${directory}/pid`,
    // A socket's path may have 107 bytes, 103 on macOS: hence the short name.
    `socket=${directory}/s`,
    "loose-mysqlx=0",
    "bind-address=127.0.0.1",
    `port=${port}`,
    ...(certificate === undefined
      ? []
      : [`ssl-cert=${certificate.certificateFile}`, `ssl-key=${certificate.keyFile}`, "tls-version=TLSv1.2,TLSv1.3"]),
    "skip-name-resolve",
    ...(process.getuid?.() === 0 ? ["user=root"] : []),
    // Nothing here must survive a crash, so the server does not flush its writes.
    "skip-log-bin",
    "innodb-flush-log-at-trx-commit=0",
    "innodb-doublewrite=0",
    "innodb-buffer-pool-size=16M",
    "innodb-autoextend-increment=1",
    "loose-innodb-log-file-size=4M",
    // For storms of 1,000 environments, each with a pool, of which some leak all they had.
    "max-connections=5000",
    "max-allowed-packet=64M",
  ];
  return `[mysqld]\n${options.join("\n")}\n`;
}

/** Also runs on a restart, when all of it exists, perhaps with another password. */
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
