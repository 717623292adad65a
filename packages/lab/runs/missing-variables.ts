import type { DatabaseKind } from "../functions/database-libraries";
import type { HandlerCode } from "../functions/handler-code";

/** The names that the lab gives every handler of a user's, with the values of its MySQL server. */
const USUAL =
  /^(DB_(HOST|PORT|USER|PASSWORD|NAME|DATABASE|AUTH|TLS)|MYSQL_(HOST|PORT|USER|PASSWORD|DATABASE|URL)|DATABASE_URL|SHUTDOWN_(EXTENSION|BUDGET_MS))$/;

type Other = Exclude<DatabaseKind, "MySQL">;

/** How `--tcp` names a server that the lab does not bring, and a URL of it. */
const OTHERS: Readonly<Record<Other, { readonly tcp: string; readonly port: number; readonly url: string }>> = {
  PostgreSQL: { tcp: "pg", port: 5432, url: "postgresql://user:password@{pg.host}:{pg.port}/database" },
  Redis: { tcp: "redis", port: 6379, url: "redis://{redis.host}:{redis.port}" },
  MongoDB: { tcp: "mongo", port: 27017, url: "mongodb://{mongo.host}:{mongo.port}/?directConnection=true" },
  "SQL Server": { tcp: "mssql", port: 1433, url: "Server={mssql.host},{mssql.port};Database=…;User Id=…;Password=…" },
};

/**
 * The options that give a handler the variables which its code reads and did not get; they can be pasted. Empty if
 * nothing is missing.
 */
export function missingVariables(code: HandlerCode | undefined, given: readonly string[]): string {
  if (code === undefined) return "";
  const { library } = code;
  const servers = new Set<Other>();
  const options = code.variables.flatMap((name) => {
    const kind = kindOf(name) ?? library?.kind ?? "MySQL";
    const value = kind === "MySQL" ? valueFor(name) : valueAt(name, kind);
    // The usual names lead to the lab's MySQL server, and are no use to a client of another server.
    const isThere = given.includes(name) || (USUAL.test(name) && (kind === "MySQL" || !value.includes("{")));
    if (isThere) return [];
    if (kind !== "MySQL" && value.includes("{")) servers.add(kind);
    return [`--env '${name}=${value}'`];
  });
  return [...[...servers].map(tcpOption), ...options].join(" ");
}

/** Watches a server that the lab does not bring; empty for a MySQL server. */
export function tcpOf(kind: DatabaseKind): string {
  return kind === "MySQL" ? "" : tcpOption(kind);
}

/** The lab gave it a variable with an address that it reads. */
export function readsUsual({ variables }: HandlerCode): boolean {
  return variables.some((name) => USUAL.test(name) && valueFor(name) !== UNKNOWN);
}

function tcpOption(kind: Other): string {
  const { tcp, port } = OTHERS[kind];
  return `--tcp ${tcp}=127.0.0.1:${port}`;
}

function kindOf(name: string): DatabaseKind | undefined {
  const upper = name.toUpperCase();
  if (/REDIS|VALKEY|CACHE/.test(upper)) return "Redis";
  if (/MONGO/.test(upper)) return "MongoDB";
  if (/MSSQL|SQL_?SERVER/.test(upper)) return "SQL Server";
  if (/POSTGRES|^PG|_PG_/.test(upper)) return "PostgreSQL";
  return /MYSQL|MARIADB/.test(upper) ? "MySQL" : undefined;
}

const UNKNOWN = "…";
const URL = /(^|_)(URL|URI|DSN|CONNECTION_?STRING)$/;
const HOST = /HOST(NAME)?$|ENDPOINT$|SERVER$|ADDRESS$/;
const PORT = /PORT$/;

/** What the lab can fill in, told from the name. */
function valueFor(name: string): string {
  const upper = name.toUpperCase();
  if (URL.test(upper)) return "{url}";
  if (HOST.test(upper)) return "{host}";
  if (PORT.test(upper)) return "{port}";
  if (/(PASS|PASSWORD|PASSWD|PWD)$/.test(upper)) return "{password}";
  if (/USER(_?NAME)?$|LOGIN$/.test(upper)) return "{user}";
  if (/(DB|DATABASE|SCHEMA)(_?NAME)?$/.test(upper)) return "{database}";
  return UNKNOWN;
}

/** The same for a server that `--tcp` watches, whose users the lab does not know. */
function valueAt(name: string, kind: Other): string {
  const upper = name.toUpperCase();
  const { tcp, url } = OTHERS[kind];
  if (URL.test(upper)) return url;
  if (HOST.test(upper)) return `{${tcp}.host}`;
  return PORT.test(upper) ? `{${tcp}.port}` : UNKNOWN;
}
