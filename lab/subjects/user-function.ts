import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { unzipSync } from "fflate";
import type { Login } from "../mysql/server";

/** Somebody else's code, as it would be deployed. */
export interface UserFunction {
  readonly name: string;
  readonly directory: string;
  readonly handler: string;
}

/** What was named is not code that Lambda could run. */
export class UserFunctionError extends Error {
  override readonly name = "UserFunctionError";
}

const ENDINGS = [".mjs", ".js", ".cjs"];
const DEFAULT_ENTRY = "index.handler";
/** What Lambda takes of unzipped code: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_UNZIPPED_BYTES = 250 * 1024 * 1024;

/**
 * @param path a directory, or a zip of one
 * @param scratch an existing directory, for what a zip holds
 * @param entry as in Lambda, `file.export`, the file without its ending @default "index.handler"
 * @throws WrongUsage if Lambda would not find the handler either
 */
export function userFunction(path: string, scratch: string, entry = DEFAULT_ENTRY): UserFunction {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind === undefined) throw new UserFunctionError(`--handler "${path}" does not exist`);
  const directory = kind.isDirectory() ? resolve(path) : unzipped(path, join(scratch, "handler"));
  const [, file = "", exported] = /^(.+)\.([^./]+)$/.exec(entry) ?? [];
  if (exported === undefined) {
    throw new UserFunctionError(`--entry "${entry}" is not of the form file.export, such as ${DEFAULT_ENTRY}`);
  }
  const found = ENDINGS.filter((ending) => existsSync(join(directory, file + ending)));
  const candidates = ENDINGS.map((ending) => file + ending).join(", ");
  if (found.length !== 1) {
    throw new UserFunctionError(
      found.length === 0
        ? `--handler "${path}" holds none of ${candidates} at its top; give a directory as it would be deployed, compiled and with its packages, or say where the handler is with --entry file.export`
        : `--handler "${path}" holds ${found.map((ending) => file + ending).join(" and ")}; only one of ${candidates} can be the handler's file`,
    );
  }
  return { name: basename(path).replace(/\.zip$/i, ""), directory, handler: entry };
}

function unzipped(file: string, directory: string): string {
  let bytes = 0;
  let entries: Readonly<Record<string, Uint8Array>>;
  try {
    entries = unzipSync(readFileSync(file), {
      filter: ({ name, originalSize }) => {
        bytes += originalSize;
        if (bytes > MAX_UNZIPPED_BYTES) throw new Error("it holds more than the 250 MB that Lambda takes");
        // Nothing of a zip may be written beside its directory, whoever made it.
        const target = resolve(directory, name);
        if (name.includes("\\") || (target !== directory && !target.startsWith(directory + sep))) {
          throw new Error(`its entry "${name}" leads out of it`);
        }
        return !name.endsWith("/");
      },
    });
  } catch (error) {
    throw new UserFunctionError(`--handler "${file}" is not a zip to deploy: ${(error as Error).message}`);
  }
  mkdirSync(directory);
  for (const [name, content] of Object.entries(entries)) {
    const target = join(directory, name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  return directory;
}

/**
 * Strangers name their variables as they like, so each gets the usual names, and this template's for its forks; what is
 * in `own` goes first.
 */
export function userVariables(
  login: Login,
  own: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const { host, user, password, database } = login;
  const port = String(login.port);
  const url = urlOf(login);
  return {
    ...{ DB_HOST: host, DB_PORT: port, DB_USER: user, DB_PASSWORD: password, DB_NAME: database, DB_DATABASE: database },
    ...{ DB_AUTH: "password", DB_TLS: "off" },
    ...{ MYSQL_HOST: host, MYSQL_PORT: port, MYSQL_USER: user, MYSQL_PASSWORD: password, MYSQL_DATABASE: database },
    ...{ MYSQL_URL: url, DATABASE_URL: url },
    ...filledIn(own, login),
  };
}

/**
 * The variables with `{host}`, `{port}`, `{user}`, `{password}`, `{database}` and `{url}` replaced. Anything else in
 * braces is left alone: it may be JSON.
 */
export function filledIn(own: Readonly<Record<string, string>>, login: Login): Readonly<Record<string, string>> {
  const { host, port, user, password, database } = login;
  const known = new Map(Object.entries({ host, port: String(port), user, password, database, url: urlOf(login) }));
  return Object.fromEntries(
    Object.entries(own).map(([name, value]) => [
      name,
      value.replace(/\{(\w+)\}/g, (braces, word: string) => known.get(word) ?? braces),
    ]),
  );
}

function urlOf({ host, port, user, password, database }: Login): string {
  return `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${encodeURIComponent(database)}`;
}
