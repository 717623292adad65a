import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { App } from "cdktf";
import { CodeDirectory } from "./code-directory";
import { newStack, only, synthesize, temporaryDirectory } from "../__tests__/synthesis";

function writeCode(directory = temporaryDirectory()): string {
  mkdirSync(path.join(directory, "src"), { recursive: true });
  mkdirSync(path.join(directory, "node_modules/legacy"), { recursive: true });
  writeFileSync(path.join(directory, "src/main.cjs"), `exports.handler = () => require("legacy");`);
  writeFileSync(path.join(directory, "node_modules/legacy/index.js"), `module.exports = "hello";`);
  return directory;
}

function stage(directory: string): string {
  const outdir = temporaryDirectory();
  const stack = newStack(outdir);
  const { sourceDir } = new CodeDirectory(stack, "code", { directory, handler: "src/main.handler" });
  App.of(stack).synth();
  return path.join(outdir, "stacks/test", sourceDir.replace("${path.module}/", ""));
}

test("a directory is deployed as it is, with its handler", () => {
  const { resource, data } = synthesize({ code: { directory: writeCode(), handler: "src/main.handler" } });
  expect(only(resource, "aws_lambda_function").handler).toBe("src/main.handler");
  const zip = only(data, "archive_file");
  expect(zip.source_dir).toMatch(/^\$\{path\.module\}\/assets\/function_code_asset_\w+\/[0-9a-f]{32}$/);
  expect(zip.output_file_mode).toBe("0644");
  expect(zip).not.toHaveProperty("excludes");
});

test("every file is staged, and nothing else", () => {
  const directory = writeCode();
  const staged = stage(directory);
  const files = (each: string): string[] => readdirSync(each, { recursive: true, encoding: "utf8" }).sort();
  expect(files(staged)).toEqual(files(directory));
  expect(readFileSync(path.join(staged, "node_modules/legacy/index.js"), "utf8")).toBe(`module.exports = "hello";`);
});

test("the path of the copy depends on names and contents, not on place and times", () => {
  const directory = writeCode();
  const first = path.basename(stage(directory));
  const elsewhere = path.join(temporaryDirectory(), "else/where");
  cpSync(directory, elsewhere, { recursive: true });
  utimesSync(path.join(elsewhere, "src/main.cjs"), 1, 1);
  expect(path.basename(stage(elsewhere))).toBe(first);

  writeFileSync(path.join(elsewhere, "node_modules/legacy/index.js"), `module.exports = "bye";`);
  expect(path.basename(stage(elsewhere))).not.toBe(first);
  renameSync(path.join(directory, "node_modules/legacy"), path.join(directory, "node_modules/modern"));
  expect(path.basename(stage(directory))).not.toBe(first);
});

describe("a directory is refused", () => {
  const directory = writeCode();

  test.each(["missing", path.join(directory, "src/main.cjs")])("that is none: %s", (none) => {
    expect(CodeDirectory.problems({ directory: none, handler: "index.handler" })).toEqual([
      `code.directory "${none}" is not a directory. Paths are relative to ${process.cwd()}`,
    ]);
  });

  test.each([".", ".."])("that contains the output of the synthesis: %s", (above) => {
    expect(CodeDirectory.problems({ directory: above, handler: "index.handler" })).toEqual([
      `code.directory "${above}" contains the project itself or the output of the synthesis. Name a directory that has only the code`,
    ]);
  });

  test("that contains the output of the synthesis", () => {
    const stack = newStack(path.join(directory, "out"));
    expect(() => new CodeDirectory(stack, "code", { directory, handler: "src/main.handler" })).toThrow(
      `code.directory "${directory}" contains the project itself or the output of the synthesis. Name a directory that has only the code`,
    );
  });

  test.each(["handler", "src/handler", ".handler"])("with a handler that names no file and export: %s", (handler) => {
    expect(CodeDirectory.problems({ directory, handler })).toEqual([
      `code.handler "${handler}" is not of the form <file without extension>.<export>`,
    ]);
  });

  test("without the handler's file", () => {
    const candidates = ["js", "mjs", "cjs"].map((extension) => path.join(directory, `main.${extension}`)).join(", ");
    expect(CodeDirectory.problems({ directory, handler: "main.handler" })).toEqual([
      `code.handler "main.handler" names a file that does not exist. Expected one of ${candidates}`,
    ]);
  });
});

test("a handler may be nested in its module", () => {
  expect(CodeDirectory.problems({ directory: writeCode(), handler: "src/main.api.handler" })).toEqual([]);
});

describe("the nearest cdktf.json", () => {
  const from = process.cwd();
  afterEach(() => {
    process.chdir(from);
  });

  /** A project with its code in `code`, where the program was started in a directory below. */
  function startedBelow(): string {
    const root = realpathSync(temporaryDirectory());
    writeFileSync(path.join(root, "cdktf.json"), "{}");
    writeCode(path.join(root, "code"));
    writeCode(path.join(root, "infra/own"));
    process.chdir(path.join(root, "infra"));
    return root;
  }

  test("is what the directory is relative to, wherever the program was started", () => {
    const root = startedBelow();
    expect(readdirSync(stage("code")).sort()).toEqual(["node_modules", "src"]);
    expect(CodeDirectory.problems({ directory: "own", handler: "src/main.handler" })).toEqual([
      `code.directory "own" is not a directory. Paths are relative to ${root}`,
    ]);
  });

  test.each([".", "..", "infra"])("refuses a directory that contains the program: %s", (directory) => {
    startedBelow();
    expect(CodeDirectory.problems({ directory, handler: "own/src/main.handler" })).toEqual([
      `code.directory "${directory}" contains the project itself or the output of the synthesis. Name a directory that has only the code`,
    ]);
  });

  test("may hold a directory whose name begins with two dots", () => {
    const root = startedBelow();
    renameSync(path.join(root, "infra"), path.join(root, "..infra"));
    process.chdir(path.join(root, "..infra"));
    expect(CodeDirectory.problems({ directory: ".", handler: "code/src/main.handler" })).toHaveLength(1);
    process.chdir(root);
    expect(readdirSync(stage("..infra/own")).sort()).toEqual(["node_modules", "src"]);
  });
});

describe("files that can be run", () => {
  function modes(directory: string): Record<string, string> {
    const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
    const files = names.filter((name) => statSync(path.join(directory, name)).isFile());
    return Object.fromEntries(
      files.map((name) => [name, (statSync(path.join(directory, name)).mode & 0o777).toString(8)]),
    );
  }

  test("can be run in the staged copy, whatever the umask was", () => {
    const directory = writeCode();
    writeFileSync(path.join(directory, "tool"), "#!/bin/sh\n");
    chmodSync(path.join(directory, "tool"), 0o775);
    chmodSync(path.join(directory, "src/main.cjs"), 0o600);
    expect(modes(stage(directory))).toEqual({
      "node_modules/legacy/index.js": "644",
      "src/main.cjs": "644",
      tool: "755",
    });
    const { data } = synthesize({ code: { directory, handler: "src/main.handler" } });
    expect(only(data, "archive_file")).not.toHaveProperty("output_file_mode");
  });

  test("change the path of the copy when they become executable", () => {
    const directory = writeCode();
    const before = path.basename(stage(directory));
    chmodSync(path.join(directory, "src/main.cjs"), 0o755);
    expect(path.basename(stage(directory))).not.toBe(before);
  });
});

describe("a link", () => {
  test("is deployed as what it leads to", () => {
    const directory = writeCode();
    symlinkSync("src", path.join(directory, "linked"));
    symlinkSync("src/main.cjs", path.join(directory, "main.cjs"));
    const staged = stage(directory);
    expect(lstatSync(path.join(staged, "main.cjs")).isFile()).toBe(true);
    expect(readFileSync(path.join(staged, "linked/main.cjs"), "utf8")).toContain("legacy");
  });

  test.each([
    ["nowhere", "missing"],
    ["round", "."],
  ])("that leads %s is refused", (name, target) => {
    const directory = writeCode();
    symlinkSync(target, path.join(directory, name));
    expect(() => synthesize({ code: { directory, handler: "src/main.handler" } })).toThrow(
      `test/function: code.directory "${directory}" contains the link ${name}, which leads to no file`,
    );
  });
});
