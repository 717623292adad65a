import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LambdaFunction } from "../lambda/execution-environment";

/** A library that holds database connections, and how its own documentation closes them. */
export interface DatabaseLibrary {
  /** As npm has it. */
  readonly name: string;
  /** The call that gives its connections back, with the variable of the handler's code. */
  readonly close: string;
  /** The code opens it in a function, so a listener outside of it cannot close it. @default false */
  readonly isLocal?: true;
}

/** What the lab reads in a handler's code, without running it. */
export interface HandlerCode {
  /** @default - none that the lab knows */
  readonly library?: DatabaseLibrary;
  /** The environment variables that the code reads, without those that have a default in the code. */
  readonly variables: readonly string[];
  readonly listensToSigterm: boolean;
  readonly callsExit: boolean;
  /** It has no import or export of an ES module's. */
  readonly isCommonJs: boolean;
}

interface Library {
  readonly name: string;
  readonly packages: readonly string[];
  /** What makes it: the name before "(". */
  readonly made: RegExp;
  readonly variable: string;
  readonly close: (variable: string) => string;
}

/** Ordered: what wraps another library stands before it. The variable is the one that the documentation uses. */
const LIBRARIES: readonly Library[] = [
  { name: "knex", packages: ["knex"], made: /(?:knex|Knex)/, variable: "knex", close: (it) => `${it}.destroy()` },
  {
    name: "Sequelize",
    packages: ["sequelize", "@sequelize/core"],
    made: /Sequelize/,
    variable: "sequelize",
    close: (it) => `${it}.close()`,
  },
  {
    name: "TypeORM",
    packages: ["typeorm"],
    made: /DataSource/,
    variable: "dataSource",
    close: (it) => `${it}.destroy()`,
  },
  {
    name: "Prisma",
    packages: ["@prisma/client", ".prisma/client", "prisma"],
    made: /PrismaClient/,
    variable: "prisma",
    close: (it) => `${it}.$disconnect()`,
  },
  {
    name: "Drizzle",
    packages: ["drizzle-orm"],
    made: /(?:createPool|createConnection|Pool|drizzle)/,
    variable: "pool",
    close: (it) => `${it}.end()`,
  },
  {
    name: "serverless-mysql",
    packages: ["serverless-mysql"],
    made: /(?:serverlessMysql|serverlessMySQL|require\(["']serverless-mysql["']\))/i,
    variable: "mysql",
    close: (it) => `${it}.quit()`,
  },
  {
    name: "mysql2",
    packages: ["mysql2"],
    made: /(?:createPool|createConnection|createPoolCluster)/,
    variable: "pool",
    close: (it) => `${it}.end()`,
  },
  {
    name: "mariadb",
    packages: ["mariadb"],
    made: /(?:createPool|createConnection)/,
    variable: "pool",
    close: (it) => `${it}.end()`,
  },
  {
    name: "mysql",
    packages: ["mysql"],
    made: /(?:createPool|createConnection)/,
    variable: "pool",
    close: (it) => `new Promise((done) => ${it}.end(done))`,
  },
  { name: "pg", packages: ["pg"], made: /(?:Pool|Client)/, variable: "pool", close: (it) => `${it}.end()` },
  {
    name: "ioredis",
    packages: ["ioredis"],
    made: /(?:Redis|Cluster)/,
    variable: "redis",
    close: (it) => `${it}.quit()`,
  },
  {
    name: "redis",
    packages: ["redis", "@redis/client"],
    made: /(?:createClient|createCluster)/,
    variable: "client",
    close: (it) => `${it}.close()`,
  },
];

const CODE = /\.(js|mjs|cjs|ts|mts|cts)$/;
/** A bundle may be large; what the lab looks for stands in a few megabytes. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_FILES = 500;

/** Lambda sets these: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
const LAMBDAS_OWN = /^(AWS_|LAMBDA_|_HANDLER$|_X_AMZN_|TZ$|LANG$|PATH$|NODE_|HOME$|PWD$|CI$|DEBUG$|npm_)/;

export function handlerCode({ directory }: Pick<LambdaFunction, "directory">): HandlerCode {
  const all = codeOf(directory).join("\n");
  const own = withoutPackages(all);
  const found = LIBRARIES.find(({ packages }) => packages.some((name) => uses(all, name)));
  return {
    ...(found === undefined ? {} : { library: libraryOf(found, own) }),
    variables: variablesOf(own),
    listensToSigterm: /["'`]SIGTERM["'`]/.test(own),
    isCommonJs: !/^\s*(import\s*["'{*\w]|export\s+\w|export\s*[{*])/m.test(own),
    callsExit: /process\.(exit|reallyExit)\(/.test(own),
  };
}

function libraryOf({ name, made, variable, close }: Library, code: string): DatabaseLibrary {
  const found = variableOf(code, made);
  return {
    ...{ name, close: close(found?.name ?? variable) },
    ...(found?.isLocal === true ? { isLocal: true } : {}),
  };
}

/** Bundlers name each file in a comment; what comes from a package says nothing of the function. */
function withoutPackages(code: string): string {
  const parts = code.split(/^(?=\/\/ (?:[\w@.-]+\/)*[\w@.$-]+\.[cm]?[jt]sx?$)/m);
  return parts.filter((part) => !/^\/\/ \S*node_modules\/[^.\s]/.test(part)).join("");
}

/** The function's own files, without its packages. */
function codeOf(directory: string): readonly string[] {
  const texts: string[] = [];
  let bytes = 0;
  const visit = (folder: string): void => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules" && !entry.name.startsWith(".")) visit(path);
      } else if (CODE.test(entry.name) && texts.length < MAX_FILES && bytes < MAX_BYTES) {
        bytes += statSync(path).size;
        texts.push(readFileSync(path, "utf8").slice(0, MAX_BYTES));
      }
    }
  };
  visit(directory);
  return texts;
}

/** Imported, required, or part of a bundle, which names its files in comments. */
function uses(code: string, name: string): boolean {
  const escaped = name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  return new RegExp(
    `(?:from|import|require\\()\\s*\\(?["']${escaped}(?:/[\\w./-]+)?["']|node_modules/${escaped}/`,
  ).test(code);
}

/** The variable that the code gives the pool, the client, the connection. */
function variableOf(code: string, made: RegExp): { readonly name: string; readonly isLocal: boolean } | undefined {
  const makes = String.raw`(?:await\s+)?(?:new\s+)?(?:\(0,\s*)?(?:[\w.]+\.)?${made.source}\)?(?:<[^>]*>)?\(`;
  const declared = new RegExp(String.raw`(?:const|let|var)\s+(\w+)(?:\s*:[^=;]+)?\s*=\s*${makes}`, made.flags).exec(
    code,
  );
  if (declared?.[1] !== undefined) {
    return { name: declared[1], isLocal: isInFunction(code.slice(0, declared.index)) };
  }
  const assigned = new RegExp(String.raw`(?:^|[;{}()\s])((?:this\.)?#?\w+)\s*(?:\?\?)?=\s*${makes}`, made.flags).exec(
    code,
  );
  return assigned?.[1] === undefined ? undefined : { name: assigned[1], isLocal: false };
}

/** More braces are open than closed, after strings and comments are gone. A bundler's wrapper is no function of the user's. */
function isInFunction(before: string): boolean {
  const plain = before.replace(
    /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g,
    "",
  );
  if (/__commonJS|__esm|__webpack_require__/.test(plain)) return false;
  return plain.split("{").length > plain.split("}").length;
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
