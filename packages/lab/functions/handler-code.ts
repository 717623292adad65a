import type { LambdaFunction } from "../lambda/execution-environment";
import { connectionHolders, type ConnectionHolder } from "./connection-holders";
import { LIBRARIES, type DatabaseKind, type LibraryDescription } from "./database-libraries";
import { isCommonJs, sourceFiles, type SourceFile } from "./source-files";

/** The library whose connections are still open, and how its own documentation closes them. */
export interface DatabaseLibrary {
  /** As npm has it. */
  readonly name: string;
  readonly kind: DatabaseKind;
  /** The call that gives its connections back, with the variables of the handler's code. */
  readonly close: string;
  /** The code opens it in a function, so a listener outside of it cannot close it. @default false */
  readonly isLocal?: true;
  /** The variable belongs to an object, so only the object's class can close it. @default false */
  readonly isMember?: true;
  /** The code has no such variable that the lab can see, so {@link close} has the documentation's. @default false */
  readonly isGuessed?: true;
  /** The file with the variable. @default - the code is one file */
  readonly file?: string;
  /** What else a clean close needs. @default nothing */
  readonly note?: string;
}

/** What the lab reads in a handler's code, without running it. */
export interface HandlerCode {
  /** @default - none that the lab knows */
  readonly library?: DatabaseLibrary;
  /** The environment variables that the code reads, without those that have a default in the code. */
  readonly variables: readonly string[];
  readonly listensToSigterm: boolean;
  readonly callsExit: boolean;
  /** A call that closes each variable of {@link library} is somewhere in the code. */
  readonly closes: boolean;
  /** The file where the call belongs has no import or export of an ES module's. */
  readonly isCommonJs: boolean;
}

/** Lambda sets these: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
const LAMBDAS_OWN = /^(AWS_|LAMBDA_|_HANDLER$|_X_AMZN_|TZ$|LANG$|PATH$|NODE_|HOME$|PWD$|CI$|DEBUG$|npm_)/;

export function handlerCode({ directory }: Pick<LambdaFunction, "directory">): HandlerCode {
  const files = sourceFiles(directory);
  const own = files.map((file) => file.own).join("\n");
  const { library, file, closes } = libraryOf(files);
  return {
    ...(library === undefined ? {} : { library }),
    variables: variablesOf(own),
    listensToSigterm: /["'`]SIGTERM["'`]/.test(own),
    isCommonJs: file === undefined ? files.every(isCommonJs) : isCommonJs(file),
    callsExit: /process\.(exit|reallyExit)\(/.test(own),
    closes,
  };
}

interface Found {
  readonly library?: DatabaseLibrary;
  readonly file?: SourceFile;
  readonly closes: boolean;
}

function libraryOf(files: readonly SourceFile[]): Found {
  const all = files.map(({ text }) => text).join("\n");
  const used = LIBRARIES.filter(({ packages }) => packages.some((name) => uses(all, name)));
  const held = used.map((library) => ({ library, holders: connectionHolders(library, files) }));
  const chosen = withoutDrivers(held.filter(({ holders }) => holders.length > 0));
  const holders = narrowed(chosen.flatMap((each) => each.holders));
  const [first] = holders;
  const owner = chosen.find((each) => first !== undefined && each.holders.includes(first));
  const library = owner?.library ?? used[0];
  if (library === undefined) return { closes: false };
  const note = library.note?.(files.map(({ own }) => own).join("\n"));
  const common = {
    ...{ name: library.name, kind: kindOf(library, all) },
    ...(note === undefined ? {} : { note }),
  };
  if (first === undefined) {
    const guessed = library.made === undefined ? {} : ({ isGuessed: true } as const);
    return { library: { ...common, close: library.close(library.variable), ...guessed }, closes: false };
  }
  const { scope, file } = first;
  const closes = holders.map(({ close }) => close);
  const places = new Set(holders.map((holder) => holder.file.name));
  return {
    library: {
      ...common,
      close: closes.length === 1 ? first.close : `Promise.all([${closes.join(", ")}])`,
      ...(scope === "function" ? ({ isLocal: true } as const) : {}),
      ...(scope === "class" ? ({ isMember: true } as const) : {}),
      ...(files.length > 1 ? { file: [...places].join(" and ") } : {}),
    },
    file,
    closes: holders.every(({ isClosed }) => isClosed),
  };
}

/** An ORM closes its driver's pool as well. A driver's own variable goes before one that only refers to it. */
function withoutDrivers<T extends { readonly library: LibraryDescription }>(held: readonly T[]): readonly T[] {
  const isWrapped = held.some(({ library }) => library.role === "wraps a driver");
  const isDriven = held.some(({ library }) => library.role !== "leaves the driver");
  const isSql = ({ kind }: LibraryDescription): boolean => kind !== "Redis" && kind !== "MongoDB";
  return held.filter(({ library }) => {
    if (library.role === "leaves the driver") return !isDriven;
    return library.role === "wraps a driver" || !isWrapped || !isSql(library);
  });
}

/** What nobody closes, if there is something else that is closed; of what can be closed in one place. */
function narrowed(holders: readonly ConnectionHolder[]): readonly ConnectionHolder[] {
  const open = holders.filter(({ isClosed }) => !isClosed);
  const wanted = open.length > 0 ? open : holders;
  for (const scope of ["module", "class", "function"] as const) {
    const here = wanted.filter((holder) => holder.scope === scope);
    if (here.length > 0) return scope === "module" ? here : here.slice(0, 1);
  }
  return [];
}

function kindOf({ kind }: LibraryDescription, code: string): DatabaseKind {
  if (kind !== undefined) return kind;
  const isPostgresql = /["'`](?:pg|postgres|postgresql)["'`]|@(?:prisma\/adapter-pg|mikro-orm\/postgresql)\b/.test(
    code,
  );
  return isPostgresql ? "PostgreSQL" : "MySQL";
}

/** Imported, required, or part of a bundle, which names its files in comments. */
function uses(code: string, name: string): boolean {
  const escaped = name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  return new RegExp(
    `(?:from|import|require\\()\\s*\\(?["']${escaped}(?:/[\\w./-]+)?["']|node_modules/${escaped}/`,
  ).test(code);
}

function variablesOf(code: string): readonly string[] {
  const names = new Set<string>();
  for (const [, dotted, quoted] of code.matchAll(
    /process\.env(?:\.([A-Za-z_]\w*)|\[["'`](\w+)["'`]\])(?!\w)(?!\s*(?:\?\?|\|\||=[^=]))/g,
  )) {
    names.add(dotted ?? quoted ?? "");
  }
  for (const [, list = ""] of code.matchAll(/\{([^{}]*)\}\s*=\s*process\.env\b/g)) {
    for (const part of list.split(",")) {
      const name = /^\s*(\w+)\s*(?::\s*\w+\s*)?$/.exec(part)?.[1];
      if (name !== undefined) names.add(name);
    }
  }
  return [...names].filter((name) => name !== "" && !LAMBDAS_OWN.test(name));
}
