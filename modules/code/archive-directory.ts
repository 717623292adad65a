import { AssetType, TerraformAsset } from "cdktf";
import type { Construct } from "constructs";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

/** Path in the archive, with slashes → the content, or the file on this machine that has it. */
export type ArchiveFiles = ReadonlyMap<string, string | Uint8Array>;

export interface ArchiveDirectory {
  /** The directory, as Terraform sees it. */
  readonly sourceDir: string;
  /** Whether Lambda can run one of the files, such as a program or a wrapper script. */
  readonly hasExecutables: boolean;
}

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: layers and code together, unzipped. */
const MAX_BYTES = 250 * 1024 * 1024;

/** Outside of the synthesis' output, because the asset is a copy. */
let temporary: string | undefined;

/**
 * The asset that Terraform makes the archive of.
 *
 * @param executable the one file that Lambda can run; without it, those that this machine can run
 * @throws ConstructSettingsError if Lambda would refuse the archive
 */
export function archiveDirectory(scope: Construct, files: ArchiveFiles, executable?: string): ArchiveDirectory {
  const entries = [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, content]): ArchiveEntry => {
      const { size, mode } = typeof content === "string" ? statSync(content) : { size: content.length, mode: 0 };
      const isExecutable = executable === undefined ? (mode & 0o100) !== 0 : name === executable;
      return { name, content, bytes: size, isExecutable };
    });
  ConstructSettingsError.throwIfAny(sizeProblems(entries));
  const assetHash = contentHash(entries);
  const asset = new TerraformAsset(scope, "asset", {
    path: stage(assetHash, entries),
    type: AssetType.DIRECTORY,
    assetHash,
  });
  return {
    sourceDir: `\${path.module}/${asset.path}`,
    hasExecutables: entries.some(({ isExecutable }) => isExecutable),
  };
}

interface ArchiveEntry {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly bytes: number;
  readonly isExecutable: boolean;
}

function sizeProblems(entries: readonly ArchiveEntry[]): string[] {
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total <= MAX_BYTES) return [];
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  const largest = [...entries].sort((a, b) => b.bytes - a.bytes).slice(0, 3);
  const names = largest.map(({ name, bytes }) => `${name} (${megabytes(bytes)})`).join(", ");
  const text = `unzipped, and Lambda takes ${megabytes(MAX_BYTES)}. The largest files are ${names}. Leave files out`;
  return [problem("code", megabytes(total), text)];
}

/**
 * Of names, contents and whether a file can be run, so that the path, and with it the plan, changes if and only if the
 * code does.
 */
function contentHash(entries: readonly ArchiveEntry[]): string {
  const hash = createHash("sha256");
  for (const { name, content, isExecutable } of entries) {
    const bytes = typeof content === "string" ? readFileSync(content) : content;
    hash.update(`${name}\0${isExecutable ? "x" : ""}\0`).update(createHash("sha256").update(bytes).digest());
  }
  return hash.digest("hex").slice(0, 32);
}

/** Writes the files once, however many functions have the same. */
function stage(assetHash: string, entries: readonly ArchiveEntry[]): string {
  if (temporary === undefined) {
    temporary = mkdtempSync(path.join(tmpdir(), "lambda-code-"));
    process.once("exit", removeStaged);
  }
  const directory = path.join(temporary, assetHash);
  if (existsSync(directory)) return directory;
  for (const { name, content, isExecutable } of entries) {
    const target = path.join(directory, name);
    mkdirSync(path.dirname(target), { recursive: true });
    if (typeof content === "string") copyFileSync(content, target);
    else writeFileSync(target, content);
    // Fixed modes, because umask and owner differ from one checkout to the next.
    chmodSync(target, isExecutable ? 0o755 : 0o644);
  }
  return directory;
}

/** For test runners, in which a module does not see the process exit. */
export function removeStaged(): void {
  if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  temporary = undefined;
}
