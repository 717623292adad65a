/** Projects of others that install the packed tarballs: ES modules, CommonJS and bundlers, by TypeScript and by Node.js. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { nodeProgram } from "../node-versions";

jest.setTimeout(300_000);

const ROOT = resolve(__dirname, "../../../..");
const PACKAGES = ["packages/shutdown", "packages/mysql", "modules"];

const scratch = mkdtempSync(join(tmpdir(), "consumers-"));
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

function run(command: string, args: readonly string[], cwd = scratch): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

beforeAll(() => {
  run("npm", ["pack", "--pack-destination", scratch, ...PACKAGES.flatMap((each) => ["-w", each])], ROOT);
  writeFileSync(join(scratch, "package.json"), '{"private":true}');
  const options = "--prefer-offline --ignore-scripts --no-audit --no-fund --legacy-peer-deps";
  run("sh", ["-c", `npm install ${options} ./*.tgz`]);
  // What an app has of its own. Linked, since the bindings take most of a minute to install.
  for (const name of ["cdktf", "constructs", "@cdktf/provider-aws", "@cdktf/provider-archive", "@types/node"]) {
    const link = join(scratch, "node_modules", name);
    mkdirSync(join(link, ".."), { recursive: true });
    rmSync(link, { recursive: true, force: true });
    symlinkSync(join(ROOT, "node_modules", name), link);
  }
});

const RIGHT = `
import { App, TerraformStack } from "cdktf";
import { onShutdown, registerExtension, type ShutdownContext } from "lambda-graceful-shutdown";
import { Database, databaseSettings } from "lambda-graceful-shutdown-mysql";
import { GracefulFunction } from "lambda-graceful-shutdown-cdktf";

const database = new Database(databaseSettings());
onShutdown("mysql", (context: ShutdownContext) => database.close(context));
void registerExtension();
export const rows = database.query<{ readonly one: number }>("SELECT 1 AS one").then(([row]) => row?.one.toFixed());

const stack = new TerraformStack(new App(), "app");
const code = { entry: "index.ts" };
export const arn: string = new GracefulFunction(stack, "f", { region: "us-east-1", functionName: "f", code }).arn;
`;

/** If a package's types did not resolve, they would be any, and none of these lines an error. */
const WRONG = [
  `onShutdown(1, () => undefined);`,
  `onShutdown("mysql");`,
  `onShutdown("mysql", (context) => context.remainingSeconds());`,
  `registerExtension("internal");`,
  `new Database("localhost");`,
  `database.query(1);`,
  `export const n: Promise<number> = database.query("SELECT 1");`,
  `new GracefulFunction(stack, "g", { region: "us-east-1", functionNam: "g", code });`,
  `export const wrongArn: number = new GracefulFunction(stack, "h", { region: "r", functionName: "h", code }).arn;`,
];

const PROJECTS = [
  ["nodenext, an ES module", "nodenext", "module", {}],
  ["node16, CommonJS", "node16", "commonjs", {}],
  ["bundler", "preserve", "module", { moduleResolution: "bundler" }],
] as const;

/** What the compiler writes. */
function compile(module: string, type: string, options: object, source: string): string {
  const project = mkdtempSync(join(scratch, "project-"));
  const strict = { strict: true, noEmit: true, skipLibCheck: true, types: ["node"] };
  const compilerOptions = { module, target: "es2022", ...strict, ...options };
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "consumer", type, private: true }));
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["index.ts"] }));
  writeFileSync(join(project, "index.ts"), source);
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  return spawnSync(process.execPath, [compiler, "--project", project], { encoding: "utf8" }).stdout;
}

test.each(PROJECTS)("%s: right code compiles, and each wrong line is an error", (_, module, type, options) => {
  expect(compile(module, type, options, RIGHT)).toBe("");
  const output = compile(module, type, options, RIGHT + WRONG.join("\n"));
  const first = RIGHT.split("\n").length;
  const lines = new Set([...output.matchAll(/index\.ts\((\d+),/g)].map(([, line]) => Number(line)));
  expect([...lines].sort((a, b) => a - b)).toEqual(WRONG.map((_, index) => first + index));
});

const NAMES = ["lambda-graceful-shutdown", "lambda-graceful-shutdown-mysql", "lambda-graceful-shutdown-cdktf"];

test.each(["22", "24"] as const)("Node.js %s requires and imports each package, and nothing inside one", (version) => {
  const node = nodeProgram(version);
  const script = NAMES.map((name) => `require("${name}");`).join("") + `console.log("required");process.exit()`;
  expect(run(node, ["--no-experimental-require-module", "-e", script])).toBe("required\n");
  const module = NAMES.map((name) => `await import("${name}");`).join("") + `console.log("imported");process.exit()`;
  expect(run(node, ["--input-type=module", "-e", module])).toBe("imported\n");
  const inside = `require("lambda-graceful-shutdown/dist/cjs/hooks.js")`;
  expect(() => run(node, ["-e", inside])).toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
});

test("the tarballs have the sources that their declaration maps name, and no test", () => {
  const command = 'for each in *.tgz; do tar tzf "$each"; done';
  const list = execFileSync("sh", ["-c", command], { cwd: scratch, encoding: "utf8" });
  expect(list).toContain("package/src/index.ts\n");
  expect(list).toContain("package/dist/cdktn/index.js\n");
  expect(list.split("\n").filter((name) => /\.test\.|fake-|__tests__/.test(name))).toEqual([]);
});
