import {
  chmodSync,
  cpSync,
  lstatSync,
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
import { archiveDirectory } from "./archive-directory";
import { codeDirectoryFiles, codeDirectoryProblems } from "./code-directory";
import { project } from "../__tests__/code-project";
import { newStack, only, synthesize, temporaryDirectory } from "../__tests__/synthesis";

const FILES = {
  "src/main.cjs": `exports.handler = () => require("legacy");`,
  "node_modules/legacy/index.js": `module.exports = "hello";`,
};
const CONTAINS = "contains the project itself or the output of the synthesis. Name a directory that has only the code";

function stage(directory: string): string {
  const outdir = temporaryDirectory();
  const stack = newStack(outdir);
  const files = codeDirectoryFiles(stack, { directory, handler: "src/main.handler" });
  const { sourceDir } = archiveDirectory(stack, files);
  App.of(stack).synth();
  return path.join(outdir, "stacks/test", sourceDir.replace("${path.module}/", ""));
}

test("a directory is deployed as it is, with its handler", () => {
  const directory = project(FILES);
  const { resource, data } = synthesize({ code: { directory, handler: "src/main.handler" } });
  expect(only(resource, "aws_lambda_function").handler).toBe("src/main.handler");
  const zip = only(data, "archive_file");
  expect(zip.source_dir).toMatch(/^\$\{path\.module\}\/assets\/function_code_asset_\w+\/[0-9a-f]{32}$/);
  expect(zip.output_file_mode).toBe("0644");
  const staged = stage(directory);
  const files = (each: string): string[] => readdirSync(each, { recursive: true, encoding: "utf8" }).sort();
  expect(files(staged)).toEqual(files(directory));
  expect(readFileSync(path.join(staged, "node_modules/legacy/index.js"), "utf8")).toBe(`module.exports = "hello";`);
});

test("the path of the copy depends on names and contents, not on place and times", () => {
  const directory = project(FILES);
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
  const directory = project(FILES);
  const candidates = ["js", "mjs", "cjs"].map((extension) => path.join(directory, `main.${extension}`)).join(", ");
  const form = "is not of the form <file without extension>.<export>";
  const none = `is not a directory. Paths are relative to ${process.cwd()}`;

  test.each([
    ["missing", "index.handler", `code.directory "missing" ${none}`],
    [path.join(directory, "src/main.cjs"), "i.handler", `code.directory "${directory}/src/main.cjs" ${none}`],
    [".", "index.handler", `code.directory "." ${CONTAINS}`],
    ["..", "index.handler", `code.directory ".." ${CONTAINS}`],
    [directory, "handler", `code.handler "handler" ${form}`],
    [directory, "src/handler", `code.handler "src/handler" ${form}`],
    [directory, ".handler", `code.handler ".handler" ${form}`],
    [
      directory,
      "main.handler",
      `code.handler "main.handler" names a file that does not exist. Expected one of ${candidates}`,
    ],
  ])("%s with the handler %s", (name, handler, expected) => {
    expect(codeDirectoryProblems({ directory: name, handler })).toEqual([expected]);
  });

  test("that contains the output of the synthesis", () => {
    const stack = newStack(path.join(directory, "out"));
    expect(() => codeDirectoryFiles(stack, { directory, handler: "src/main.handler" })).toThrow(
      `code.directory "${directory}" ${CONTAINS}`,
    );
  });
});

test("a handler may be nested in its module", () => {
  expect(codeDirectoryProblems({ directory: project(FILES), handler: "src/main.api.handler" })).toEqual([]);
});

describe("the nearest cdktf.json", () => {
  const from = process.cwd();
  afterEach(() => {
    process.chdir(from);
  });

  /** A project with its code in `code`, where the program was started in a directory below. */
  function startedBelow(): string {
    const inside = Object.entries(FILES).flatMap(([name, content]) => [
      [`code/${name}`, content],
      [`infra/own/${name}`, content],
    ]);
    const root = realpathSync(project({ "cdktf.json": "{}", ...(Object.fromEntries(inside) as typeof FILES) }));
    process.chdir(path.join(root, "infra"));
    return root;
  }

  test("is what the directory is relative to, wherever the program was started", () => {
    const root = startedBelow();
    expect(readdirSync(stage("code")).sort()).toEqual(["node_modules", "src"]);
    expect(codeDirectoryProblems({ directory: "own", handler: "src/main.handler" })).toEqual([
      `code.directory "own" is not a directory. Paths are relative to ${root}`,
    ]);
  });

  test.each([".", "..", "infra"])("refuses a directory that contains the program: %s", (directory) => {
    startedBelow();
    expect(codeDirectoryProblems({ directory, handler: "own/src/main.handler" })).toEqual([
      `code.directory "${directory}" ${CONTAINS}`,
    ]);
  });

  test("may hold a directory whose name begins with two dots", () => {
    const root = startedBelow();
    renameSync(path.join(root, "infra"), path.join(root, "..infra"));
    process.chdir(path.join(root, "..infra"));
    expect(codeDirectoryProblems({ directory: ".", handler: "code/src/main.handler" })).toHaveLength(1);
    process.chdir(root);
    expect(readdirSync(stage("..infra/own")).sort()).toEqual(["node_modules", "src"]);
  });
});

test("files that can be run can be run in the staged copy, whatever the umask was, and change its path", () => {
  const directory = project(FILES);
  writeFileSync(path.join(directory, "tool"), "#!/bin/sh\n");
  chmodSync(path.join(directory, "src/main.cjs"), 0o600);
  const before = stage(directory);
  chmodSync(path.join(directory, "tool"), 0o775);
  const staged = stage(directory);
  const modes = [...Object.keys(FILES), "tool"].map((name) => statSync(path.join(staged, name)).mode & 0o777);
  expect(modes).toEqual([0o644, 0o644, 0o755]);
  const { data } = synthesize({ code: { directory, handler: "src/main.handler" } });
  expect(only(data, "archive_file")).not.toHaveProperty("output_file_mode");
  expect(path.basename(staged)).not.toBe(path.basename(before));
});

describe("a link", () => {
  test("is deployed as what it leads to", () => {
    const directory = project(FILES);
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
    const directory = project(FILES);
    symlinkSync(target, path.join(directory, name));
    expect(() => synthesize({ code: { directory, handler: "src/main.handler" } })).toThrow(
      `test/function: code.directory "${directory}" contains the link ${name}, which leads to no file`,
    );
  });
});
