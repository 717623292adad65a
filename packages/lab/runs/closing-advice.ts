import type { HandlerCode } from "../functions/handler-code";

export const LEAVE =
  "leave by raising the signal again (process.removeAllListeners('SIGTERM'), then process.kill(process.pid, 'SIGTERM'))";
/** Not `npm install`: the package is in no registry. */
export const PACKAGE = "install the package lambda-graceful-shutdown (docs/package.md)";
export const FUNCTION = "lambda-graceful-shutdown/function";

/** How this handler closes its connections, as the words after "on SIGTERM". */
export function closing(code: HandlerCode | undefined): string {
  if (code === undefined) return "await pool.end()";
  const { library } = code;
  if (library === undefined) return "await pool.end(), or what its library has in place of that";
  const { close, isGuessed, note } = library;
  const name = isGuessed === true ? ", with the variable of your code" : "";
  return `await ${close}${placeOf(library)}${name}${note === undefined ? "" : ` (and ${note})`}`;
}

/** What works when it is pasted: a CommonJS handler cannot import an ES module at its top. */
export function hookFor(code: HandlerCode | undefined): string {
  const { library, isCommonJs = false } = code ?? {};
  const call = `onShutdown("${library?.name ?? "database"}", () => ${library?.close ?? "pool.end()"})`;
  const pasted = isCommonJs
    ? `import("${FUNCTION}").then(({ onShutdown }) => ${call})`
    : `import { onShutdown } from "${FUNCTION}"; ${call}`;
  const place = library === undefined ? "" : placeOf(library);
  if (library?.isMember !== true) return `${PACKAGE}, and${place}: ${pasted}`;
  // In the class alone, `this` is the object with the connections.
  const after = `after the line that makes ${library.close.replace(/\.\w+\(\)$/, "")}`;
  return isCommonJs
    ? `${PACKAGE}, and${place}, ${after}: ${pasted}`
    : `${PACKAGE}, and import { onShutdown } from "${FUNCTION}"; then${place}, ${after}: ${call}`;
}

function placeOf({ isMember, file }: NonNullable<HandlerCode["library"]>): string {
  return `${isMember === true ? " in its class" : ""}${file === undefined ? "" : ` in ${file}`}`;
}
