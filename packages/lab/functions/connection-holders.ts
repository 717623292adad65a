import type { LibraryDescription } from "./database-libraries";
import type { SourceFile } from "./source-files";

/** A variable of the function's that holds connections. */
export interface ConnectionHolder {
  /** With a `?.` behind it if it may be undefined at the time of the SIGTERM. */
  readonly close: string;
  readonly file: SourceFile;
  readonly scope: "module" | "class" | "function";
  /** A call that closes it stands somewhere in the code. */
  readonly isClosed: boolean;
}

/** The variables that the code gives the pools, the clients and the connections of a library. */
export function connectionHolders(
  { made, close }: Pick<LibraryDescription, "made" | "close">,
  files: readonly SourceFile[],
): readonly ConnectionHolder[] {
  if (made === undefined) return [];
  const makes = String.raw`(?:await\s+)?(?:new\s+)?(?:\(0,\s*)?(?:(?:[\w.]+|require\(["'][\w@/.-]+["']\))\.)?${made.source}\)?(?:<[^>]*>)?\(`;
  const declared = new RegExp(String.raw`(?:const|let|var)\s+(\w+)(?:\s*:[^=;]+)?\s*=\s*${makes}`, `g${made.flags}`);
  const assigned = new RegExp(
    String.raw`(?:^|[;{}()\s])((?:[\w$]+\.)*#?\w+)\s*(?:\?\?|\|\|)?=\s*${makes}`,
    `g${made.flags}`,
  );
  const everything = files.map(({ own }) => own).join("\n");
  const found = new Map<string, ConnectionHolder>();
  const add = (name: string, file: SourceFile, scope: ConnectionHolder["scope"], mayBeUndefined: boolean): void => {
    const called = name.replace(/^this\./, "").replace(/[.$#]/g, "\\$&");
    const isClosed = new RegExp(
      String.raw`${called}\)?(?:\?|!)?\s*\.\s*(?:\$client\.|promise\(\)\s*\.)?(?:end|close|destroy|quit|disconnect|\$disconnect)\b`,
    ).test(everything);
    const key = `${file.name}:${name}`;
    if (!found.has(key)) found.set(key, { close: close(mayBeUndefined ? `${name}?` : name), file, scope, isClosed });
  };
  for (const file of files) {
    const { own } = file;
    for (const { 1: name = "", index } of own.matchAll(declared)) {
      add(name, file, isInFunction(own.slice(0, index)) ? "function" : "module", false);
    }
    for (const match of own.matchAll(assigned)) {
      const [, name = ""] = match;
      const before = own.slice(0, match.index + match[0].indexOf(name));
      if (/(?:const|let|var)\s+$/.test(before)) continue;
      if (/^(?:this\.|#)/.test(name)) add(`this.${name.replace(/^this\./, "")}`, file, "class", false);
      else if (name.includes(".")) add(name, file, "module", isInFunction(before));
      else {
        const declaration = new RegExp(String.raw`\b(?:let|var)\b[^;\n]*\b${name}\b`).exec(own);
        if (declaration === null) add(`this.${name}`, file, "class", false);
        else add(name, file, isInFunction(own.slice(0, declaration.index)) ? "function" : "module", true);
      }
    }
  }
  return [...found.values()];
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
