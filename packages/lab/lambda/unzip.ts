import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { unzipSync } from "fflate";

/** What Lambda takes of unzipped code: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_UNZIPPED_BYTES = 250 * 1024 * 1024;

const CENTRAL_HEADER = Buffer.from("PK\u0001\u0002");
const MADE_ON_UNIX = 3;
const FILE_TYPE = 0o170000;
const SYMBOLIC_LINK = 0o120000;

/**
 * Unpacks a zip as Lambda does: with executable bits and symbolic links.
 *
 * @param directory is made if it does not exist
 * @throws if it is no zip, is larger than Lambda allows, or leads out of the directory
 */
export function unzip(file: string, directory: string): void {
  const zip = readFileSync(file);
  let bytes = 0;
  const entries = unzipSync(zip, {
    filter: ({ name, originalSize }) => {
      bytes += originalSize;
      if (bytes > MAX_UNZIPPED_BYTES) throw new Error("it contains more than the 250 MB that Lambda allows");
      if (name.includes("\\") || !isInside(directory, resolve(directory, name))) {
        throw new Error(`its entry "${name}" leads out of it`);
      }
      return !name.endsWith("/");
    },
  });
  const modes = modesOf(zip);
  const isLink = (name: string): boolean => ((modes.get(name) ?? 0) & FILE_TYPE) === SYMBOLIC_LINK;
  mkdirSync(directory, { recursive: true });
  // Links come last, so that no file is written through one of them.
  for (const [name, content] of Object.entries(entries).sort(([a], [b]) => Number(isLink(a)) - Number(isLink(b)))) {
    const target = join(directory, name);
    mkdirSync(dirname(target), { recursive: true });
    if (isLink(name)) symlinkSync(Buffer.from(content).toString("utf8"), target);
    else writeFileSync(target, content, { mode: ((modes.get(name) ?? 0) & 0o111) === 0 ? 0o644 : 0o755 });
  }
}

function isInside(directory: string, path: string): boolean {
  const [outer, inner] = [resolve(directory), resolve(path)];
  return inner === outer || inner.startsWith(outer + sep);
}

/**
 * The Unix modes in the zip's central directory, which fflate does not hand on.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.12
 */
function modesOf(zip: Buffer): ReadonlyMap<string, number> {
  const modes = new Map<string, number>();
  const end = zip.lastIndexOf("PK\u0005\u0006");
  for (let at = zip.readUInt32LE(end + 16); zip.subarray(at, at + 4).equals(CENTRAL_HEADER);) {
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString("utf8", at + 46, at + 46 + nameLength);
    if (zip.readUInt8(at + 5) === MADE_ON_UNIX) modes.set(name, zip.readUInt16LE(at + 40));
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return modes;
}
