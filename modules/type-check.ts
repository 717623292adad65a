import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import path from "node:path";

const CACHE = "node_modules/.cache/type-check";

/** The files a check read, and what was in them. */
interface Stamp {
  readonly files: readonly string[];
  readonly digest: string;
}

/**
 * The type errors of a function's entry file and of all that it imports, one line each, by the options of the project's
 * tsconfig.json.
 *
 * A check costs two seconds of CPU, and synthesizing is done far more often than the function is changed. So a
 * check that found nothing leaves a stamp, and is done again when one byte differs in any file that it read.
 */
export function typeErrors(entry: string): string[] {
  const stampFile = stampFileOf(entry);
  if (isFresh(stampFile)) return [];

  // Loaded here, since the compiler alone costs a quarter of a second and is needed only now.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const ts = require("typescript") as typeof import("typescript");

  const configFile = path.resolve("tsconfig.json");
  const { config } = ts.readConfigFile(configFile, (file) => ts.sys.readFile(file)) as { config?: object };
  const { options } = ts.parseJsonConfigFileContent(
    { ...config, include: [], files: [path.resolve(entry)] },
    ts.sys,
    path.dirname(configFile),
    // A function must not see the globals of a test runner.
    { noEmit: true, skipLibCheck: true, types: ["node"] },
  );
  const host = ts.createCompilerHost(options);
  // The declarations of Node are mostly comments: without them the check takes a fifth less.
  host.jsDocParsingMode = ts.JSDocParsingMode.ParseNone;
  const program = ts.createProgram([path.resolve(entry)], options, host);

  const errors = ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const message = `TS${diagnostic.code} ${ts.flattenDiagnosticMessageText(diagnostic.messageText, " ")}`;
    if (!diagnostic.file) return message;
    const { line, character } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    return `${path.relative("", diagnostic.file.fileName)}:${line + 1}:${character + 1} ${message}`;
  });

  if (errors.length === 0) {
    const files = [...(config ? [configFile] : []), ...program.getSourceFiles().map((file) => file.fileName)];
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(stampFile, JSON.stringify({ files, digest: digest(files) } satisfies Stamp));
  }
  return errors;
}

/** Where the stamp of an entry is kept. */
export function stampFileOf(entry: string): string {
  return path.join(CACHE, `${sha256(realpathSync(entry))}.json`);
}

function isFresh(stampFile: string): boolean {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, "utf8")) as Stamp;
    return digest(stamp.files) === stamp.digest;
  } catch {
    // No stamp yet, or a file that it names is gone.
    return false;
  }
}

function digest(files: readonly string[]): string {
  return sha256(files.map((file) => `${file}\n${sha256(readFileSync(file))}`).join("\n"));
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
