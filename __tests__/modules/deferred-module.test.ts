import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { buildSync } from "esbuild";
import { DEFERRED_BANNER, deferModules } from "../../modules/deferred-module";
import { temporaryDirectory } from "./synthesis";

/** A module that prints what it is asked of mysql2's error codes, bundled as a function is. */
function bundled(source: string): string {
  const { outputFiles } = buildSync({
    stdin: { contents: source, resolveDir: __dirname },
    bundle: true,
    platform: "node",
    format: "esm",
    minifyWhitespace: true,
    minifySyntax: true,
    write: false,
    banner: {
      js: `import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);${DEFERRED_BANNER}`,
    },
  });
  return outputFiles[0]?.text ?? "";
}

function output(code: string): string {
  const file = path.join(temporaryDirectory(), "index.mjs");
  writeFileSync(file, code);
  return execFileSync(process.execPath, [file], { encoding: "utf8" });
}

const PACKET = path.join(path.dirname(require.resolve("mysql2/package.json")), "lib/packets/packet.js");
/** The server's answer to a wrong password, as the driver reads it. */
const REFUSAL = `
  import "mysql2/promise";
  import Packet from ${JSON.stringify(PACKET)};
  const bytes = Buffer.concat([Buffer.from([0, 0, 0, 0, 0xff, 0x15, 0x04]), Buffer.from("#28000no")]);
  const { code, errno } = new Packet(0, bytes, 0, bytes.length).asError("utf8");
  console.log(errno, code);
`;

test("mysql2's error codes are deferred, and say the same when they are asked", () => {
  const code = bundled(REFUSAL);
  const deferred = deferModules(code);
  expect(deferred).not.toBe(code);
  expect(deferred).toHaveLength(code.length); // or the source map's columns would not fit
  expect(output(code)).toBe("1045 ER_ACCESS_DENIED_ERROR\n");
  expect(output(deferred)).toBe(output(code));
});

test("what nobody asks for is not run", () => {
  const counted = (code: string): string =>
    output(
      `${code.replace(/(errors\.js"\((\w+)\)\{)/, "$1globalThis.errorCodesRun=true;")};console.log(globalThis.errorCodesRun===true)`,
    );
  const code = bundled(`import "mysql2/promise";`);
  expect(counted(code)).toBe("true\n");
  expect(counted(deferModules(code))).toBe("false\n");
});

test("code without such a module stays as it is", () => {
  const code = bundled(`console.log(1)`);
  expect(deferModules(code)).toBe(code);
});
