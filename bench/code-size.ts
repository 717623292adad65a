import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";

/** What a way deploys. */
export interface CodeSize {
  readonly way: string;
  readonly files: number;
  readonly bytes: number;
  readonly zipBytes: number;
}

/** Of a zip's fixed parts: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.12, 4.3.16 */
const LOCAL_HEADER_BYTES = 30;
const CENTRAL_HEADER_BYTES = 46;
const END_OF_ZIP_BYTES = 22;

/** @param deployed whether a file of the directory is part of the archive */
export function codeSize(way: string, directory: string, deployed: (file: string) => boolean): CodeSize {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => statSync(join(directory, file)).isFile() && deployed(file))
    .map((file) => [file, readFileSync(join(directory, file))] as const);
  return {
    way,
    files: files.length,
    bytes: files.reduce((sum, [, content]) => sum + content.length, 0),
    zipBytes: files.reduce((sum, [file, content]) => sum + zipEntryBytes(file, content), END_OF_ZIP_BYTES),
  };
}

/** With zlib at its default level; the archive provider's compressor may differ by a percent. */
function zipEntryBytes(file: string, content: Buffer): number {
  const names = 2 * Buffer.byteLength(file);
  return LOCAL_HEADER_BYTES + CENTRAL_HEADER_BYTES + names + deflateRawSync(content).length;
}
