/**
 * Writes the layer that attaches the shutdown to a function, and a zip of it.
 *
 *   npm run layer [-- DIR]    default: dist/layer, and dist/layer.zip beside it
 */
import { buildSync } from "esbuild";
import { zipSync } from "fflate";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PRELOAD = "lambda-graceful-shutdown/attach.mjs";
const WRAPPER = "graceful-shutdown";

/** The same for each build, so that the layer's hash changes with its content only. */
const DATE = "1980-01-01T12:00:00";
const MADE_ON_UNIX = 3;
const REGULAR_FILE = 0o100000;

/** For AWS_LAMBDA_EXEC_WRAPPER. Node.js before 18.18 ends when it does not know --import. */
const WRAPPER_SCRIPT = `#!/bin/sh
# Starts the runtime "$@". Attaches the shutdown if the runtime is Node.js 22 or later.
here=$(dirname "$0")
case "$AWS_EXECUTION_ENV" in
  AWS_Lambda_nodejs2[2-9].x | AWS_Lambda_nodejs[3-9][0-9].x)
    case " $NODE_OPTIONS " in
      *"/${PRELOAD}"*) ;;
      *) export NODE_OPTIONS="\${NODE_OPTIONS:+$NODE_OPTIONS }--import=$here/${PRELOAD}" ;;
    esac
    ;;
  *)
    echo '{"event":"attach","level":"WARN","code":"ERR_LGS_RUNTIME","message":"the shutdown is not attached: the runtime '"\${AWS_EXECUTION_ENV:-is unknown and}"' is not Node.js 22 or later; the function works, see docs/attach.md"}' >&2
    ;;
esac
exec "$@"
`;

function preload() {
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, "packages/shutdown/src/attach/preload.ts")],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node22",
    minifyWhitespace: true,
    charset: "utf8",
    logLevel: "warning",
  });
  return outputFiles[0].text;
}

const directory = resolve(process.argv[2] ?? join(ROOT, "dist/layer"));
const files = [
  { name: WRAPPER, mode: 0o755, content: WRAPPER_SCRIPT },
  { name: PRELOAD, mode: 0o644, content: preload() },
];
for (const { name, mode, content } of files) {
  const file = join(directory, name);
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true }); // writeFileSync keeps the mode of a file that is there
  writeFileSync(file, content, { mode });
}
const zip = zipSync(
  Object.fromEntries(
    files.map(({ name, mode }) => [
      name,
      [
        readFileSync(join(directory, name)),
        { os: MADE_ON_UNIX, attrs: (REGULAR_FILE | mode) << 16, mtime: DATE, level: 9 },
      ],
    ]),
  ),
);
writeFileSync(`${directory}.zip`, zip);
console.error(`${directory}\n${directory}.zip (${zip.length} bytes)`); // npm pack --json has the standard output
