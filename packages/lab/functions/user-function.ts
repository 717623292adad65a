import { statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isProvided, isPython } from "../lambda/lambda-runtime";
import { unzip } from "../lambda/unzip";
import type { Login } from "../mysql/server";
import { compileCommand, compileHandler } from "./compile-handler";
import type { Addresses } from "./subject";

/** Somebody else's code, as it would be deployed. */
export interface UserFunction {
  readonly name: string;
  readonly directory: string;
  readonly handler: string;
  /** The TypeScript file that the lab has compiled for it. @default - it was brought as it would be deployed */
  readonly compiledFrom?: string;
}

/** What was named is not code that Lambda could run. */
export class UserFunctionError extends Error {
  override readonly name = "UserFunctionError";
}

/** How a runtime finds its handler in a directory. */
interface HandlerFiles {
  readonly defaultEntry: string;
  /** The form of `--entry`; its first group is the file. */
  readonly form: RegExp;
  /** The files of which one has to be there. */
  candidates(file: string): readonly string[];
}

const NODEJS: HandlerFiles = {
  defaultEntry: "index.handler",
  form: /^(.+)\.[^./]+$/,
  candidates: (file) => [".mjs", ".js", ".cjs"].map((ending) => file + ending),
};

/** A module may be named with dots or slashes, and may be a package: awslambdaric's `_get_handler`. */
const PYTHON: HandlerFiles = {
  defaultEntry: "lambda_function.lambda_handler",
  form: /^(.+)\.[^./]+$/,
  candidates: (module) => [".py", "/__init__.py"].map((ending) => module.replaceAll(".", "/") + ending),
};

/** Lambda starts the program and passes the entry on to it. */
const PROVIDED: HandlerFiles = { defaultEntry: "bootstrap", form: /^()/, candidates: () => ["bootstrap"] };
const SOURCE = /\.([mc]?js|py)$/;
const TYPESCRIPT = /\.[mc]?ts$/;

/**
 * @param path a directory, a zip of one, or a TypeScript file
 * @param scratch an existing directory, for what a zip holds
 * @param entry as in Lambda: for Node.js and Python `file.export`, the file without its ending; a `bootstrap` gets any
 * text as it is @default "index.handler", "lambda_function.lambda_handler" or "bootstrap", by the runtime
 * @param runtime what it runs on, as Lambda names it
 * @throws UserFunctionError if Lambda would not find the handler either
 */
export function userFunction(path: string, scratch: string, entry?: string, runtime = "nodejs24.x"): UserFunction {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind === undefined) throw new UserFunctionError(`--handler "${path}" does not exist`);
  const isTypeScript = TYPESCRIPT.test(path) && !kind.isDirectory();
  if (isTypeScript) {
    return { ...userFunction(dirname(path), scratch, entry ?? `${stem(path)}.handler`, runtime), name: stem(path) };
  }
  const directory = kind.isDirectory() ? resolve(path) : unzipped(path, join(scratch, "handler"));
  const files = isProvided(runtime) ? PROVIDED : isPython(runtime) ? PYTHON : NODEJS;
  const handler = entry ?? files.defaultEntry;
  const [, file] = files.form.exec(handler) ?? [];
  if (file === undefined) {
    throw new UserFunctionError(`--entry "${handler}" is not of the form file.export, such as ${files.defaultEntry}`);
  }
  const candidates = files.candidates(file);
  const found = candidates.filter((candidate) => isFile(join(directory, candidate)));
  const source = [".ts", ".mts", ".cts"].map((ending) => file + ending).find((name) => isFile(join(directory, name)));
  if (found.length === 0 && files === NODEJS && source !== undefined) {
    const compiled = join(scratch, "compiled");
    const exported = handler.slice(file.length + 1);
    const problem = compileHandler({ directory, source, exported, file, into: compiled });
    if (problem === undefined) return { name: nameOf(path), directory: compiled, handler, compiledFrom: source };
    throw new UserFunctionError(
      `--handler "${path}" contains none of ${candidates.join(", ")} at its top, and ${source} could not be compiled: ${problem}. ` +
        `Compile it, then give the directory with the result: ${compileCommand(source, file)}`,
    );
  }
  if (found.length === 0) throw new UserFunctionError(missing(path, directory, candidates, files));
  if (found.length > 1) {
    throw new UserFunctionError(
      `--handler "${path}" holds ${found.join(" and ")}; only one of ${candidates.join(", ")} can be the handler's file`,
    );
  }
  if (files === PROVIDED && !isExecutable(join(directory, "bootstrap"))) {
    throw new UserFunctionError(
      `--handler "${path}" holds a bootstrap that is not executable, so Lambda cannot start it; run chmod +x bootstrap before you zip it`,
    );
  }
  return { name: nameOf(path), directory, handler };
}

function nameOf(path: string): string {
  return basename(resolve(path)).replace(/\.zip$/i, "");
}

function stem(path: string): string {
  return basename(path).replace(TYPESCRIPT, "");
}

/** What would make it run: another runtime whose handler is there, or what to put into the directory. */
function missing(path: string, directory: string, candidates: readonly string[], files: HandlerFiles): string {
  const others = [
    { other: NODEJS, runtime: "nodejs24.x" },
    { other: PYTHON, runtime: "python3.13" },
    { other: PROVIDED, runtime: "provided.al2023" },
  ].filter(({ other }) => {
    const [, file = ""] = other.form.exec(other.defaultEntry) ?? [];
    return other !== files && other.candidates(file).some((candidate) => isFile(join(directory, candidate)));
  });
  const what = `--handler "${path}" contains none of ${candidates.join(", ")} at its top`;
  const [fits] = others;
  if (fits !== undefined) return `${what}, but ${fits.other.defaultEntry}; say so with --runtime ${fits.runtime}`;
  return files === PROVIDED
    ? `${what}; build the program under this name, for this machine's processor`
    : `${what}; give a directory as it would be deployed, compiled and with its packages, or say where the handler is with --entry file.export`;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isExecutable(path: string): boolean {
  // Not accessSync: root may execute what has any of the three bits, and Lambda's user is not this one.
  return (statSync(path).mode & 0o111) !== 0;
}

function unzipped(file: string, directory: string): string {
  try {
    unzip(file, directory);
    return directory;
  } catch (error) {
    const why = SOURCE.test(file) ? `give its directory, ${dirname(file)}` : (error as Error).message;
    throw new UserFunctionError(`--handler "${file}" is not a zip to deploy: ${why}`);
  }
}

/**
 * Users name their variables as they like, so each gets the usual names, and this template's for its forks; what is
 * in `own` goes first.
 */
export function userVariables(
  login: Login,
  own: Readonly<Record<string, string>> = {},
  tcp: Addresses = {},
): Readonly<Record<string, string>> {
  const { host, user, password, database } = login;
  const port = String(login.port);
  const url = urlOf(login);
  return {
    ...{ DB_HOST: host, DB_PORT: port, DB_USER: user, DB_PASSWORD: password, DB_NAME: database, DB_DATABASE: database },
    ...{ DB_AUTH: "password", DB_TLS: "off" },
    ...{ MYSQL_HOST: host, MYSQL_PORT: port, MYSQL_USER: user, MYSQL_PASSWORD: password, MYSQL_DATABASE: database },
    ...{ MYSQL_URL: url, DATABASE_URL: url },
    ...filledIn(own, login, tcp),
  };
}

/**
 * The variables with `{host}`, `{port}`, `{user}`, `{password}`, `{database}` and `{url}` replaced, and `{name.host}`
 * and `{name.port}` of the servers that have a name. Anything else in
 * braces is left alone: it may be JSON.
 */
export function filledIn(
  own: Readonly<Record<string, string>>,
  login: Login,
  tcp: Addresses = {},
): Readonly<Record<string, string>> {
  const { host, port, user, password, database } = login;
  const known = new Map(Object.entries({ host, port: String(port), user, password, database, url: urlOf(login) }));
  for (const [name, address] of Object.entries(tcp)) {
    known.set(`${name}.host`, address.host).set(`${name}.port`, String(address.port));
  }
  return Object.fromEntries(
    Object.entries(own).map(([name, value]) => [
      name,
      value.replace(/\{([\w.-]+)\}/g, (braces, word: string) => known.get(word) ?? braces),
    ]),
  );
}

function urlOf({ host, port, user, password, database }: Login): string {
  return `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${encodeURIComponent(database)}`;
}
