/** Layers in the lab: what a function, a wrapper and an extension find at /opt. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { zipSync, type Zippable } from "fflate";
import { ExecutionEnvironment, InitError, type EnvironmentConfig } from "./execution-environment";
import { lambdaRuntime, type LambdaRuntime } from "./lambda-runtime";
import { LayerError, layersOf } from "./layers";
import { canReplaceOpt } from "./mount-namespace";
import { testEnvironments } from "./test-handlers/test-environments";

const lab = testEnvironments();

const onLinux = canReplaceOpt()
  ? test
  : (name: string, body: () => Promise<void>): void => {
      test.skip(`NOT PROVEN without a mount namespace: ${name}`, body);
    };

let runtime: LambdaRuntime;
beforeAll(() => {
  runtime = lambdaRuntime("nodejs24.x");
});

/** A directory with these files, executable where the name is in `bin` or `extensions` or has no ending. */
function directory(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(lab.folder, name);
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, /\.\w+$/.test(path) ? 0o644 : 0o755);
  }
  return root;
}

function zip(name: string, entries: Zippable): string {
  const file = join(lab.folder, name);
  writeFileSync(file, zipSync(entries));
  return file;
}

interface Setting extends Partial<EnvironmentConfig> {
  readonly code: string;
  readonly layerPaths: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
}

function environment({ code, layerPaths, variables = {}, ...config }: Setting): ExecutionEnvironment {
  const made = new ExecutionEnvironment({
    runtime,
    ...config,
    lambdaFunction: {
      name: "f",
      directory: directory("function", { "index.cjs": code }),
      handler: "index.handler",
      memorySizeMb: 128,
      timeoutMs: 5_000,
      environment: variables,
      layerPaths,
    },
  });
  lab.environments.push(made);
  return made;
}

async function answer(made: ExecutionEnvironment): Promise<unknown> {
  const result = await made.invoke({});
  if (!result.ok) throw new Error(`${result.error.errorType}: ${result.error.errorMessage}\n${made.logs.join("\n")}`);
  return result.payload;
}

const LISTS_OPT = `const { readdirSync } = require("node:fs"); exports.handler = async () => readdirSync("/opt").sort();`;

onLinux("/opt has the content of the layers and nothing else, and cannot be written to", async () => {
  const layer = directory("layer", { "a.txt": "a" });
  const zipped = zip("layer.zip", { "b.txt": Buffer.from("b"), "d/": {}, "d/c.txt": Buffer.from("c") });
  const made = environment({ code: LISTS_OPT, layerPaths: [layer, zipped] });
  expect(await answer(made)).toEqual(["a.txt", "b.txt", "d"]);
  expect(existsSync("/opt/a.txt")).toBe(false);
  const writes = environment({
    code: `exports.handler = async () => require("node:fs").writeFileSync("/opt/new", "");`,
    layerPaths: [layer],
  });
  await expect(answer(writes)).rejects.toThrow("EROFS");
});

onLinux("a later layer replaces a file of an earlier one", async () => {
  const code = `exports.handler = async () => require("node:fs").readFileSync("/opt/a.txt", "utf8");`;
  const layers = ["first", "second"].map((name) => directory(name, { "a.txt": name }));
  expect(await answer(environment({ code, layerPaths: layers }))).toBe("second");
});

onLinux("a function requires packages of /opt/nodejs, those of its Node.js first", async () => {
  const layerPaths = [
    directory("layer", {
      "nodejs/node_modules/both/index.js": `module.exports = "any";`,
      "nodejs/node24/node_modules/both/index.js": `module.exports = "24";`,
      "nodejs/node_modules/one/index.js": `module.exports = "one";`,
    }),
  ];
  const code = `exports.handler = async () => [require("both"), require("one")];`;
  expect(await answer(environment({ code, layerPaths }))).toEqual(["24", "one"]);
});

onLinux("a program of /opt/bin is on the PATH", async () => {
  const layerPaths = [directory("layer", { "bin/hello": "#!/bin/sh\necho hello" })];
  const code = `exports.handler = async () => require("node:child_process").execFileSync("hello").toString().trim();`;
  expect(await answer(environment({ code, layerPaths }))).toBe("hello");
});

const EXTENSION = `#!/usr/bin/env node
const url = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2020-01-01/extension";
(async () => {
  const headers = { "Lambda-Extension-Name": require("node:path").basename(__filename) };
  const registered = await fetch(url + "/register", { method: "POST", headers, body: '{"events":["SHUTDOWN"]}' });
  const id = { "Lambda-Extension-Identifier": registered.headers.get("lambda-extension-identifier") };
  const { eventType } = await (await fetch(url + "/event/next", { headers: id })).json();
  console.log("extension of " + require("node:fs").readdirSync("/opt") + " got " + eventType);
  process.exit(0);
})();
`;

onLinux("the programs of /opt/extensions are external extensions, so the runtime gets SIGTERM", async () => {
  const made = environment({ code: LISTS_OPT, layerPaths: [directory("layer", { "extensions/mine": EXTENSION })] });
  await answer(made);
  expect(await made.shutdown()).toMatchObject({ endedBy: "itself", unheard: true });
  expect(made.timeline.map(({ what }) => what)).toContain("extension mine registered");
  expect(made.logs).toContain("extension of extensions got SHUTDOWN");
});

onLinux("a file of /opt/extensions that is not executable is Extension.LaunchError or ends Init", async () => {
  const layerPaths = [directory("layer", { "extensions/note.txt": "not a program" })];
  const error: unknown = await environment({ code: LISTS_OPT, layerPaths })
    .init()
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InitError);
  expect((error as InitError).error.errorType).toMatch(/^Extension\./);
});

onLinux("a wrapper of a layer gets the runtime's command line, and its own variables reach the function", async () => {
  const wrapper = `#!/bin/bash\nexport WRAPPED="$AWS_LAMBDA_EXEC_WRAPPER"\nargs=("$@")\nexec "\${args[0]}" --title=wrapped "\${args[@]:1}"`;
  const code = `exports.handler = async () => [process.env.WRAPPED, process.title, process.argv.length];
process.on("SIGTERM", () => { process.removeAllListeners("SIGTERM"); process.kill(process.pid, "SIGTERM"); });`;
  const layerPaths = [directory("layer", { wrapper, "extensions/mine": EXTENSION })];
  const variables = { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrapper" };
  const made = environment({ code, layerPaths, variables });
  expect(await answer(made)).toEqual(["/opt/wrapper", "wrapped", 2]);
  const { endedBy, unheard } = await made.shutdown();
  expect([endedBy, unheard]).toEqual(["itself", undefined]);
});

test.each([
  ["/opt/nothing", 127, "/opt/nothing: does not exist"],
  [__filename, 126, `${__filename}: is not an executable`],
])("the wrapper %s ends Init with status %i", async (AWS_LAMBDA_EXEC_WRAPPER, status, line) => {
  const made = environment({ code: LISTS_OPT, layerPaths: [], variables: { AWS_LAMBDA_EXEC_WRAPPER } });
  await expect(made.init()).rejects.toThrow(`Runtime exited with error: exit status ${status}`);
  expect(made.logs).toContain(line);
});

onLinux("executable bits and links of a zip are kept", async () => {
  const made = environment({
    code: `exports.handler = async () => require("node:child_process").execFileSync("/opt/bin/link").toString();`,
    layerPaths: [
      zip("layer.zip", {
        "bin/hello": [Buffer.from("#!/bin/sh\necho hi"), { os: 3, attrs: 0o100755 << 16 }],
        "bin/link": [Buffer.from("hello"), { os: 3, attrs: (0o120777 << 16) >>> 0 }],
      }),
    ],
  });
  expect(await answer(made)).toBe("hi\n");
});

onLinux("what is no layer is refused by name", async () => {
  await Promise.resolve();
  const code = directory("function", { "index.cjs": "" });
  const text = join(directory("other", { "a.txt": "no zip" }), "a.txt");
  expect(() => layersOf([join(lab.folder, "missing")], code)).toThrow(/layer ".*missing" does not exist/);
  expect(() => layersOf([text], code)).toThrow(/layer ".*a\.txt" is neither a directory nor a zip/);
  expect(() =>
    layersOf(
      Array.from({ length: 6 }, () => lab.folder),
      code,
    ),
  ).toThrow(LayerError);
});
