import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import path from "node:path";
import type { ArchiveFiles } from "./archive-directory";
import { problem } from "../terraform/construct-settings-error";

/** What a function's processor may be: https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html */
export const ARCHITECTURES = ["arm64", "x86_64"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** By the field e_machine of an ELF file: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
const ELF_MACHINES: Readonly<Record<number, string>> = { 0x03: "ia32", 0x28: "arm", 0x3e: "x64", 0xb7: "arm64" };

const ELF = "\u007fELF";

/** npm's and Node.js's name. */
export function cpuOf(architecture: Architecture): "arm64" | "x64" {
  return architecture === "arm64" ? "arm64" : "x64";
}

/** What Lambda's runtimes run native code on: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html */
export function platformOf(architecture: Architecture): string {
  return `linux-${cpuOf(architecture)}-glibc`;
}

/** `linux-arm64-glibc`: what a native addon, a file or its content, was built for; undefined if not for Linux. */
export function platformOfAddon(addon: string | Uint8Array): string | undefined {
  if (typeof addon === "string" && !startsAsElf(addon)) return undefined;
  const content = Buffer.from(typeof addon === "string" ? readFileSync(addon) : addon);
  if (content.toString("latin1", 0, 4) !== ELF) return undefined;
  const machine = ELF_MACHINES[content.readUInt16LE(18)] ?? "unknown";
  return `linux-${machine}-${content.includes("libc.musl-") ? "musl" : "glibc"}`;
}

/** Whether a file is a program or an addon for Linux, without reading the rest of a large file. */
export function startsAsElf(file: string): boolean {
  const start = Buffer.alloc(ELF.length);
  const descriptor = openSync(file, "r");
  readSync(descriptor, start);
  closeSync(descriptor);
  return start.toString("latin1") === ELF;
}

/** Whether a package loads native code, by a path that no bundler sees. */
export function isNative(directory: string): boolean {
  if (["binding.gyp", "prebuilds"].some((name) => existsSync(path.join(directory, name)))) return true;
  const manifest = path.join(directory, "package.json");
  const { optionalDependencies = {} } = (existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")) : {}) as {
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  };
  // Such as @img/sharp-linux-arm64.
  return Object.keys(optionalDependencies).some((name) => /(linux|darwin|win32).*(arm64|x64)/.test(name));
}

/**
 * Problems of native code for other platforms only: of a package, which may have it for several, or of a file.
 *
 * @param setting that the native code comes from
 */
export function addonProblems(setting: string, files: ArchiveFiles, architecture: Architecture): string[] {
  const platform = platformOf(architecture);
  const found = new Map<string, Set<string>>();
  for (const [name, content] of files) {
    if (!name.endsWith(".node")) continue;
    const owner = packageName(name) ?? name;
    found.set(owner, (found.get(owner) ?? new Set()).add(platformOfAddon(content) ?? "another system"));
  }
  const text = `only, and the function runs on ${platform}. Synthesize on such a machine, for example in a container`;
  return [...found]
    .filter(([, platforms]) => !platforms.has(platform))
    .map(([name, platforms]) => problem(setting, name, `has native code for ${[...platforms].join(", ")} ${text}`));
}

/** The package whose code a file is; undefined for the project's own. */
export function packageName(file: string): string | undefined {
  const [, inside] = /(?:^|.*\/)node_modules\/(.*)$/s.exec(file.replaceAll("\\", "/")) ?? [];
  return inside?.split("/", inside.startsWith("@") ? 2 : 1).join("/");
}
