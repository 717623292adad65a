/** `npm run export`: the function as a plain Terraform module that does not need this project. */
import { App } from "cdktf";
import { zipSync, type Zippable } from "fflate";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { hclBlocks, type Json } from "./hcl";
import { SettingsError } from "../terraform/settings-error";
import { TerraformModule, type ModuleCode } from "./terraform-module";

const DEFAULT_DIRECTORY = "terraform-module";
const USAGE = `npm run export [-- <directory>]

Writes the function as a Terraform module: HCL and the zip. Its users need no CDKTF.

  <directory>  where to, relative to this project; ${DEFAULT_DIRECTORY} by default. It must be new, empty, or an earlier
               export, which is replaced.`;

/** How a file begins that the next export may replace. */
const HEADER = "# Written by `npm run export` of lambda-graceful-shutdown, which replaces it the next time.\n\n";

/** The usual files of a module, and the blocks of each. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  "versions.tf": ["terraform"],
  "variables.tf": ["variable"],
  "main.tf": ["locals", "data", "resource"],
  "outputs.tf": ["output"],
};

/**
 * What the module is made of and tried with. From 1.2 on Terraform knows preconditions; 5.100.0 is the oldest provider
 * that the test has applied the module with, and 7 may be incompatible.
 */
const REQUIREMENTS: Json = {
  required_version: ">= 1.2.0",
  required_providers: { aws: { source: "hashicorp/aws", version: ">= 5.100.0, < 7.0.0" } },
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { help: { type: "boolean" } }, allowPositionals: true });
  if (values.help === true) {
    console.log(USAGE);
    return;
  }
  const [directory = DEFAULT_DIRECTORY, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`one directory is expected, not ${positionals.join(", ")}`);
  checkDirectory(directory);

  const files = await moduleFiles();
  if (process.exitCode !== undefined) return;
  mkdirSync(directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(directory, name), content);
  console.log(`${directory}: ${Object.keys(files).join(", ")}`);
}

class UsageError extends Error {}

/** @throws UsageError if something is there that an export has not written. */
function checkDirectory(directory: string): void {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) throw new UsageError(`${directory} is not a directory`);
  const isExport = (name: string): boolean =>
    statSync(path.join(directory, name), { throwIfNoEntry: false })?.isFile() === true &&
    readFileSync(path.join(directory, name), "utf8").startsWith(HEADER);
  if (readdirSync(directory).length > 0 && !Object.keys(FILES).every(isExport)) {
    throw new UsageError(`${directory} is neither empty nor an earlier export: name another directory, or empty it`);
  }
}

async function moduleFiles(): Promise<Record<string, string | Uint8Array>> {
  const outdir = mkdtempSync(path.join(tmpdir(), "terraform-module-"));
  try {
    // main.ts synthesizes when it is loaded. This keeps its output out of cdktf.out.
    process.env["CDKTF_OUTDIR"] = path.join(outdir, "main");
    const { SETTINGS } = await import("../../main");
    if (process.exitCode !== undefined) return {};
    const app = new App({ outdir });
    const module = new TerraformModule(app, "module", SETTINGS);
    app.synth();
    const stackDirectory = path.join(outdir, "stacks", "module");
    const json = JSON.parse(readFileSync(path.join(stackDirectory, "cdk.tf.json"), "utf8")) as Record<string, Json>;
    const configuration: Readonly<Record<string, Json>> = { ...json, terraform: REQUIREMENTS };
    const file = (types: readonly string[]): string =>
      HEADER + types.flatMap((type) => hclBlocks(type, withoutMetadata(configuration[type] ?? {}))).join("\n");
    return {
      ...Object.fromEntries(Object.entries(FILES).map(([name, types]) => [name, file(types)])),
      "function.zip": zip(stackDirectory, module.code),
    };
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** Where CDKTF notes which construct an element is of. */
function withoutMetadata(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map(withoutMetadata);
  const entries = Object.entries(value).filter(([name]) => name !== "//");
  return Object.fromEntries(entries.map(([name, each]) => [name, withoutMetadata(each)]));
}

/** The same code always gives the same bytes. */
function zip(stackDirectory: string, { sourceDir, excludes }: ModuleCode): Uint8Array {
  const directory = sourceDir.replace("${path.module}", stackDirectory);
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => !excludes.includes(name) && statSync(path.join(directory, name)).isFile())
    .sort();
  const files: Zippable = Object.fromEntries(
    names.map((name) => {
      const file = path.join(directory, name);
      // Unix; 0644, since Lambda's user has to read the files, and what can be run 0755.
      const mode = (statSync(file).mode & 0o100) === 0 ? 0o100_644 : 0o100_755;
      return [name.replaceAll(path.sep, "/"), [readFileSync(file), { os: 3, attrs: (mode << 16) >>> 0 }]];
    }),
  );
  // The oldest date that a zip can hold in every time zone.
  return zipSync(files, { level: 9, mtime: new Date(1980, 0, 1) });
}

main().catch((error: unknown) => {
  const isUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
  if (!isUsage && !(error instanceof SettingsError)) throw error;
  console.error((error as Error).message + (isUsage === true ? `\n\n${USAGE}` : ""));
  process.exitCode = 1;
});
