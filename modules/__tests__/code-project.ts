import { App } from "cdktf";
import { Construct } from "constructs";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { archiveDirectory } from "../code/archive-directory";
import { codeBundleFiles, codeBundleProblems, type CodeBundleConfig, type CodeTarget } from "../code/code-bundle";
import { ConstructSettingsError } from "../terraform/construct-settings-error";
import { newStack, temporaryDirectory } from "./synthesis";

export type Files = Readonly<Record<string, string | Buffer>>;

/** An addon's header, as far as it says what it was built for. */
export function addon(machine: "arm64" | "x64", libc = ""): Buffer {
  const header = Buffer.alloc(64);
  header.write("\u007fELF", "latin1");
  header.writeUInt16LE(machine === "arm64" ? 0xb7 : 0x3e, 18);
  return Buffer.concat([header, Buffer.from(libc)]);
}

export function project(files: Files): string {
  const directory = temporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    writeFileSync(path.join(directory, name), content);
  }
  return directory;
}

export interface Staged {
  readonly directory: string;
  readonly names: readonly string[];
  readonly code: string;
  readonly warnings: readonly string[];
  readonly sourceDir: string;
}

/** What the synthesis makes of a project. */
export function stage(
  root: string,
  config: Partial<CodeBundleConfig & CodeTarget> = {},
  entry = "index.ts",
  outdir = temporaryDirectory(),
): Staged {
  const stack = newStack(outdir);
  const code = new Construct(stack, "code");
  const target = { runtime: "nodejs24.x", architecture: "arm64", files: {} } as const;
  const settings = { entry: path.join(root, entry), ...target, ...config };
  ConstructSettingsError.throwIfAny(codeBundleProblems(settings));
  const { sourceDir } = archiveDirectory(code, codeBundleFiles(code, settings));
  App.of(stack).synth();
  const directory = path.join(outdir, "stacks/test", sourceDir.replace("${path.module}/", ""));
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return {
    directory,
    names: names.filter((name) => statSync(path.join(directory, name)).isFile()).sort(),
    code: readFileSync(path.join(directory, "index.mjs"), "utf8"),
    warnings: code.node.metadata.map(({ data }) => String(data)),
    sourceDir,
  };
}

/** What the deployed code answers, run where it is staged. */
export function run({ directory }: Staged, options: readonly string[] = []): unknown {
  const script = `import { handler } from "./index.mjs"; console.log(JSON.stringify(await handler()))`;
  const args = [...options, "--input-type=module", "-e", script];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: directory, encoding: "utf8" }));
}

/** A package that is installed in the project. */
export function installed(name: string, files: Files): Files {
  const own = Object.entries({ "package.json": "{}", ...files });
  return Object.fromEntries(own.map(([file, content]) => [`node_modules/${name}/${file}`, content]));
}

/** A handler that answers what the package "a" exports. */
export const IMPORT = { "index.ts": `import a from "a"; export const handler = async () => a;` };

export const HANDLER = `export const handler = async () => 1;`;
