import { resolve } from "node:path";

/** A path as its user meant it: npm runs a script in the package's root, and says where its user was. */
export function fromInvocationDirectory(path: string): string {
  return resolve(process.env["INIT_CWD"] ?? process.cwd(), path);
}
