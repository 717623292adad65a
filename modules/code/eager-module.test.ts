import { execFileSync } from "node:child_process";
import { buildSync } from "esbuild";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { bundle } from "./bundle";
import { eagerModules } from "./eager-module";
import { temporaryDirectory } from "../__tests__/synthesis";

/** As modules/bundle.ts builds. */
function bundled(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory();
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(directory, name), content);
  const { outputFiles } = buildSync({
    entryPoints: [path.join(directory, "entry.mjs")],
    absWorkingDir: directory,
    ...{ write: false, bundle: true, platform: "node", format: "esm", minifyWhitespace: true, minifySyntax: true },
  });
  return outputFiles[0]?.text ?? "";
}

function printed(code: string): string {
  return execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
}

const FILES = {
  // Text that looks like the end of one module and the beginning of the next.
  "text-with-an-end.cjs": `exports.text = '}});var require_b=__commonJS({"a-long-name.cjs"(exports){';`,
  "self-and-others.cjs": `exports.self = this === module.exports || this; exports.others = require("./text-with-an-end.cjs").text;`,
  "last-of-the-modules.cjs": `"use strict"; module.exports = class {};`,
  "entry.mjs": `import others from "./self-and-others.cjs"; import Last from "./last-of-the-modules.cjs";
    console.log(others.others, typeof others.self, new Last() instanceof Last);`,
};

test("modules become functions in parentheses, each character of theirs stays in its place, and the code does the same", () => {
  const code = bundled(FILES);
  const eager = eagerModules(code);
  expect(eager.match(/":\(function\(exports/g)).toHaveLength(3);
  expect(eager).toHaveLength(code.length);
  for (const own of ["exports.text=", "exports.self=", "console.log(", "module.exports=class"]) {
    expect([own, eager.indexOf(own)]).toEqual([own, code.indexOf(own)]);
    expect(code.indexOf(own)).toBeGreaterThan(0);
  }
  expect(printed(eager)).toBe(printed(code));
  expect(printed(eager)).toContain("a-long-name.cjs");
});

test("code that the parser does not know stays as it is", () => {
  const code = `${bundled(FILES)}\n@@`;
  expect(eagerModules(code)).toBe(code);
});

test("other objects stay as they are, as does a module whose name is too short", () => {
  const code = `var a=other({"a-long-name.cjs"(exports){}});var b=__commonJS({"short.js"(exports){}});var c=__commonJS("x");`;
  expect(eagerModules(code)).toBe(code);
});

test("the deployed function is written so", () => {
  const file = path.resolve(__dirname, "../../function/index.ts");
  const settings = { entry: file, file, runtime: "nodejs24.x", external: [], loader: {}, sourceMap: false };
  const code = Buffer.from(bundle(settings).files.get("index.mjs") ?? "").toString();
  expect(code.includes('mysql2/lib/connection.js":(function(')).toBe(true);
});
