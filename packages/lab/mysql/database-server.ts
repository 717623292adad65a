import { ANSWER_WITHIN_MS, Observer } from "./observer";
import type { DatabaseServer, Login } from "./server";
import type { ServerCertificate } from "#fake-mysql";
import { startFakeDatabaseServer } from "./fake-database-server";
import { DIRECTORIES_BESIDE_PATH, findServerProgram, startThrowawayServer } from "./throwaway-server";

export interface DatabaseServerConfig {
  /** A server that exists: `mysql://user:password@host:port/database`. @default - the environment variable MYSQL_URL */
  readonly url?: string;
  /** The kind of server that it must be. @default - the first available, in the order url, mariadbd, mysqld, fake */
  readonly kind?: DatabaseServer["kind"];
  /** What a server of the lab's own shows to clients that ask for TLS; the fake has no TLS. @default - no TLS */
  readonly certificate?: ServerCertificate;
  /** Gets a message before each step that takes seconds. @default - none */
  readonly onProgress?: (message: string) => void;
}

export async function startDatabaseServer(config: DatabaseServerConfig = {}): Promise<DatabaseServer> {
  const url = config.url ?? process.env["MYSQL_URL"] ?? "";
  const { kind, certificate, onProgress = () => undefined } = config;

  if (kind === "fake") return startFakeDatabaseServer();
  if (kind === "url" || (kind === undefined && url !== "")) return useServer(url);

  const program = await findServerProgram(kind);
  if (program !== undefined) {
    onProgress(`starting ${program.file} on a throwaway directory`);
    try {
      return await startThrowawayServer(program, certificate === undefined ? {} : { certificate });
    } catch (error) {
      // Such as Ubuntu's mysqld, which AppArmor keeps to its own directories.
      if (kind !== undefined) throw error;
      onProgress(`${messageOf(error)}\nset MYSQL_URL to use another server; until then the lab uses a fake`);
      return startFakeDatabaseServer();
    }
  }
  if (kind !== undefined) {
    const installation =
      kind === "mariadbd" ? "on Debian and Ubuntu: apt install mariadb-server-core" : "see mysql.com";
    throw new Error(`no ${kind} on PATH or in ${DIRECTORIES_BESIDE_PATH.join(", ")}; install one (${installation})`);
  }
  onProgress("no MYSQL_URL, and neither mariadbd nor mysqld on PATH: the lab uses a fake");
  return startFakeDatabaseServer();
}

async function useServer(url: string): Promise<DatabaseServer> {
  const login = parseUrl(url);
  const observer = new Observer({ ...login, connectTimeout: 2 * ANSWER_WITHIN_MS });
  try {
    const description = `${await observer.version()} at ${login.host}:${login.port} (MYSQL_URL)`;
    await observer.abortedClients();
    return {
      ...login,
      kind: "url",
      description,
      pid: undefined,
      heldThreads: (ids) => observer.heldThreads(ids),
      abortedClients: () => observer.abortedClients(),
      stop: () => observer.leave(),
    };
  } catch (error) {
    await observer.leave();
    throw new Error(`MYSQL_URL "${mask(url)}" does not work: ${messageOf(error)}`, { cause: error });
  }
}

function parseUrl(value: string): Login {
  const refuse = (problem: string): Error =>
    new Error(
      `MYSQL_URL "${mask(value)}" ${problem}; expected mysql://user:password@host:port/database ` +
        "(set it in the environment, or unset it to let the lab start a server of its own)",
    );
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw refuse(value === "" ? "is not set" : "is not a URL");
  }
  if (url.protocol !== "mysql:") throw refuse(`begins with ${url.protocol}//`);
  if (url.hostname === "") throw refuse("names no host");
  if (url.username === "") throw refuse("names no user");
  const database = url.pathname.slice(1);
  if (database === "" || database.includes("/")) throw refuse("names no database");
  // Options such as ssl would be dropped silently otherwise: the function reaches the server through the lab's relay.
  if (url.search !== "" || url.hash !== "") throw refuse(`has options (${url.search}${url.hash})`);
  try {
    return {
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 3306 : Number(url.port),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(database),
    };
  } catch {
    throw refuse("has a % that is not followed by two hexadecimal digits");
  }
}

/**
 * Also works on text that is not a URL: everything between the first colon after the user and the last @ may be a
 * password.
 */
function mask(url: string): string {
  return url.replace(/^([^/]*\/\/)?([^:/]*):(?!\/\/)(.*)@/, "$1$2:****@");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
