import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** What Lambda's runtimes run native code on: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html */
export interface Platform {
  readonly os: "linux";
  readonly cpu: "arm64" | "x64";
  readonly libc: "glibc";
}

/** By the field e_machine of an ELF file: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
const ELF_MACHINES: Readonly<Record<number, string>> = { 0x03: "ia32", 0x28: "arm", 0x3e: "x64", 0xb7: "arm64" };

export function platformOf(architecture: "arm64" | "x86_64"): Platform {
  return { os: "linux", cpu: architecture === "arm64" ? "arm64" : "x64", libc: "glibc" };
}

/** `linux-arm64-glibc`: what a native addon was built for, or undefined if it is not for Linux. */
export function platformOfAddon(file: string): string | undefined {
  const header = Buffer.alloc(20);
  const descriptor = openSync(file, "r");
  try {
    if (readSync(descriptor, header) < header.length || header.toString("latin1", 0, 4) !== "\u007fELF") {
      return undefined;
    }
  } finally {
    closeSync(descriptor);
  }
  const machine = ELF_MACHINES[header.readUInt16LE(18)] ?? "unknown";
  const libc = readFileSync(file).includes("libc.musl-") ? "musl" : "glibc";
  return `linux-${machine}-${libc}`;
}

/** Whether a package says that it runs there, by the fields `os`, `cpu` and `libc` of its package.json. */
export function runsOn(
  platform: Platform,
  { os, cpu, libc }: { readonly os?: unknown; readonly cpu?: unknown; readonly libc?: unknown },
): boolean {
  return allows(os, platform.os) && allows(cpu, platform.cpu) && allows(libc, platform.libc);
}

/** `["!win32"]` allows all others: https://docs.npmjs.com/cli/v11/configuring-npm/package-json#os */
function allows(field: unknown, value: string): boolean {
  const list = [field ?? []].flat().map(String);
  if (list.includes(`!${value}`)) return false;
  const named = list.filter((each) => !each.startsWith("!"));
  return named.length === 0 || named.includes(value) || named.includes("any");
}

/** What the name of a package says about the platform that it is for, such as `@img/sharp-linux-arm64`. */
export function platformInName(name: string): { os?: string; cpu?: string; libc?: string } {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  const find = (known: Readonly<Record<string, string>>): string | undefined =>
    words.map((word) => known[word]).find((each) => each !== undefined);
  const os = find(OS_WORDS);
  // `linuxmusl` is one word in the names of sharp's packages.
  const libc = /musl/.test(name) ? "musl" : /gnu|glibc/.test(name) ? "glibc" : undefined;
  const cpu = find(CPU_WORDS);
  return { ...(os && { os }), ...(cpu && { cpu }), ...(libc && { libc }) };
}

const OS_WORDS: Readonly<Record<string, string>> = {
  linux: "linux",
  linuxmusl: "linux",
  darwin: "darwin",
  macos: "darwin",
  win32: "win32",
  windows: "win32",
  freebsd: "freebsd",
  netbsd: "netbsd",
  openbsd: "openbsd",
  openharmony: "openharmony",
  sunos: "sunos",
  aix: "aix",
  android: "android",
  wasm32: "wasm",
  webcontainers: "wasm",
};

const CPU_WORDS: Readonly<Record<string, string>> = {
  arm64: "arm64",
  aarch64: "arm64",
  x64: "x64",
  amd64: "x64",
  x86: "x64",
  ia32: "ia32",
  arm: "arm",
  armv6: "arm",
  armv7: "arm",
  ppc64: "ppc64",
  ppc64le: "ppc64",
  s390x: "s390x",
  riscv64: "riscv64",
  loong64: "loong64",
  mips64el: "mips64el",
  wasm32: "wasm",
};
