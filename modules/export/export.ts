/** `npm run export`: the function as a plain Terraform module that does not need this project. */
import { App } from "cdktf";
import { zipSync, type Zippable } from "fflate";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { AUTHORITIES_FILE, authoritiesPem } from "../code/certificate-authorities";
import { startsAsElf } from "../code/native-code";
import { filesBelow } from "../code/project-directory";
import { ConstructSettingsError } from "../terraform/construct-settings-error";
import { isExported, moduleFiles, type ModuleJson } from "./module-files";
import { pathsWithin, stackFunction, type StackFunction } from "./stack-function";
import { TerraformModule } from "./terraform-module";

const DEFAULT_DIRECTORY = "terraform-module";
const USAGE = `npm run export [-- <directory> --function <name>]

Writes the function as a Terraform module: JSON syntax, the zip and a README. Its users need no CDKTF.

  <directory>        where to, relative to this project; ${DEFAULT_DIRECTORY} by default. It must be new, empty, or an
                     earlier export, which is replaced.
  --function <name>  which function, if the app has several`;

class UsageError extends Error {}

function main(): void {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean" }, function: { type: "string" } },
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(USAGE);
    return;
  }
  const [directory = DEFAULT_DIRECTORY, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`one directory is expected, not ${positionals.join(", ")}`);
  const earlier = earlierFiles(directory);

  const outdir = mkdtempSync(path.join(tmpdir(), "terraform-module-"));
  try {
    const files = exported(outdir, values.function);
    mkdirSync(directory, { recursive: true });
    for (const file of earlier) rmSync(file);
    for (const [name, content] of Object.entries(files)) writeFileSync(path.join(directory, name), content);
    console.log(`${directory}: ${Object.keys(files).join(", ")}`);
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/**
 * @returns the Terraform files of an earlier export
 * @throws UsageError if something is there that an export has not written
 */
function earlierFiles(directory: string): string[] {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (!stats.isDirectory()) throw new UsageError(`${directory} is not a directory`);
  const names = readdirSync(directory);
  const earlier = names.filter((name) => /\.tf(\.json)?$/.test(name)).map((name) => path.join(directory, name));
  if (earlier.length > 0 ? earlier.every((file) => isExported(readFileSync(file, "utf8"))) : names.length === 0) {
    return earlier;
  }
  throw new UsageError(`${directory} is neither empty nor an earlier export: name another directory, or empty it`);
}

function exported(outdir: string, functionName?: string): Record<string, string | Uint8Array> {
  synthesizeApp(path.join(outdir, "app"));
  const source = stackFunction(path.join(outdir, "app"), functionName);
  const names = filesBelow(source.directory);
  const app = new App({ outdir: path.join(outdir, "module") });
  new TerraformModule(app, "module", {
    source,
    isNative: names.some((name) => startsAsElf(path.join(source.directory, name))),
  });
  app.synth();
  const text = readFileSync(path.join(outdir, "module/stacks/module/cdk.tf.json"), "utf8");
  const json = JSON.parse(text) as ModuleJson;
  const paths = pathsWithin("module/function", text);
  const attributes = Object.keys(json.resource.aws_lambda_function["lambda"] ?? {});
  const missing = [
    ...source.paths.filter((each) => !paths.includes(each) && !/^(zip|\.\.\/[^/]+)$/.test(each)),
    ...source.attributes.filter((each) => !attributes.includes(each)).map((each) => `lambda.${each}`),
  ];
  if (missing.length > 0) console.error(`Not in the module: ${missing.join(", ")}`);
  return { ...moduleFiles(json), "function.zip": zip(source, names) };
}

/** As `cdktf synth` does it. */
function synthesizeApp(outdir: string): void {
  const { app } = JSON.parse(readFileSync("cdktf.json", "utf8")) as { readonly app: string };
  const env = { ...process.env, CDKTF_OUTDIR: outdir };
  const { status } = spawnSync(app, { shell: true, env, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new ConstructSettingsError([`the app command of cdktf.json failed: ${app}`]);
}

/** The same code always gives the same bytes. */
function zip({ directory }: StackFunction, names: readonly string[]): Uint8Array {
  const files: Zippable = {};
  for (const name of names) {
    const file = path.join(directory, name);
    // Unix; 0644, since Lambda's user has to read the files, and what can be run 0755.
    const mode = (statSync(file).mode & 0o100) === 0 ? 0o100_644 : 0o100_755;
    // The stack's file has the roots of its region, and the authorities of `database.caFile`.
    const pem = name === AUTHORITIES_FILE ? authoritiesPem({ host: "", caFile: file }, "${var.region}") : undefined;
    const content = pem === undefined ? readFileSync(file) : Buffer.from(pem);
    files[name] = [content, { os: 3, attrs: (mode << 16) >>> 0 }];
  }
  // The oldest date that a zip can hold in every time zone.
  return zipSync(files, { level: 9, mtime: new Date(1980, 0, 1) });
}

try {
  main();
} catch (error) {
  const isUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
  if (!isUsage && !(error instanceof ConstructSettingsError)) throw error;
  console.error((error as Error).message + (isUsage === true ? `\n\n${USAGE}` : ""));
  process.exitCode = 1;
}
