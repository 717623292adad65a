import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";

export interface CodeSize {
  readonly files: number;
  readonly bytes: number;
  /** At zip's default level; the archive provider's compressor may differ by a percent. */
  readonly zipBytes: number;
}

/** @param deployed whether a file of the directory is part of the archive */
export function codeSize(directory: string, deployed: (file: string) => boolean): CodeSize {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter(
    (file) => statSync(join(directory, file)).isFile() && deployed(file),
  );
  const contents = Object.fromEntries(files.map((file) => [file, new Uint8Array(readFileSync(join(directory, file)))]));
  return {
    files: files.length,
    bytes: Object.values(contents).reduce((sum, { length }) => sum + length, 0),
    zipBytes: zipSync(contents).length,
  };
}
