/** The same sources on CDK Terrain, the fork of CDKTF that is kept up: locked in __tests__/cdktn, so that no fork has to install it. */
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { clientOf, deployed, publishLayer, startApi, startProject } from "../deployment/deployed";

const ROOT = join(__dirname, "../../..");
const CDKTN = __dirname;

/** All that the two may write differently: docs/cdktn.md says what each is. */
const DIFFERENCES = [
  '"//".metadata.version',
  "terraform.required_providers.archive.version",
  "terraform.required_providers.aws.source",
  "terraform.required_providers.aws.version",
];

const outdir = mkdtempSync(join(tmpdir(), "cdktn-"));
afterAll(() => {
  rmSync(outdir, { recursive: true, force: true });
});

/** Its bindings want Node.js 22.11 or later. Where this one is older, the lab has one that is new enough. */
let node = process.execPath;

beforeAll(() => {
  const npm = (...args: readonly string[]): void => {
    const { status, stderr } = spawnSync("npm", [...args, "--no-audit", "--no-fund"], { cwd: CDKTN, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
  };
  if (!existsSync(join(CDKTN, "node_modules/cdktn-cli"))) npm("ci");
  if (Number(process.versions.node.split(".")[0]) >= 24) return;
  const prepare = join(ROOT, "packages/lab/lambda/prepare-runtime.mjs");
  const { stdout, stderr } = spawnSync(process.execPath, [prepare, "nodejs24.x"], { encoding: "utf8" });
  if (stdout === "")
    throw new Error(`CDK Terrain needs Node.js 22.11 or later, and this is ${process.version}: ${stderr}`);
  const modules = join(stdout.trim(), "node_modules");
  const stamp = JSON.parse(readFileSync(join(modules, ".prepared.json"), "utf8")) as { readonly node: string };
  node = resolve(modules, stamp.node);
}, 300_000);

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
  return spawnSync(program, args, { cwd: ROOT, env: { ...process.env, ...env }, encoding: "utf8" });
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

function synthesize(program: string, name: string, env: NodeJS.ProcessEnv): Json {
  const directory = join(outdir, name);
  const { status, stderr } = run(program, ["--conditions=source", "--import", "tsx", "main.ts"], {
    CDKTF_OUTDIR: directory,
    ...env,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(readFileSync(join(directory, "stacks/graceful-shutdown/cdk.tf.json"), "utf8")) as Json;
}

/** Paths of the values that are not the same, or only on one side. */
function differences(left: Json | undefined, right: Json | undefined, path = ""): string[] {
  if (typeof left !== "object" || left === null || typeof right !== "object" || right === null) {
    return left === right ? [] : [path];
  }
  const [a, b] = [left, right] as Readonly<Record<string, Json>>[];
  return [...new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])]
    .flatMap((name) => {
      const key = /^\w[\w-]*$/.test(name) ? name : JSON.stringify(name);
      return differences(a?.[name], b?.[name], path === "" ? key : `${path}.${key}`);
    })
    .sort();
}

function lockedPackages(folder: string): Readonly<Record<string, { readonly version?: string }>> {
  const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version?: string }>;
  };
  return lock.packages;
}

test("it is locked apart from the project's own dependencies, with the constructs of the project", () => {
  const own = lockedPackages(ROOT);
  const terrain = lockedPackages(CDKTN);
  expect(Object.keys(own).filter((name) => name.includes("cdktn"))).toEqual([]);
  for (const name of ["cdktn", "@cdktn/provider-aws", "@cdktn/provider-archive"]) {
    expect(terrain[`node_modules/${name}`]?.version).toMatch(/^\d+\.\d+\.\d+$/);
  }
  expect(terrain["node_modules/constructs"]?.version).toBe(own["node_modules/constructs"]?.version);
});

test("main.ts synthesizes to the same JSON, except for the named differences", () => {
  const cdktf = synthesize(process.execPath, "cdktf", {});
  const cdktn = synthesize(node, "cdktn", { TSX_TSCONFIG_PATH: join(CDKTN, "tsconfig.json") });
  expect(differences(cdktf, cdktn)).toEqual(DIFFERENCES);

  const { version } = JSON.parse(readFileSync(join(CDKTN, "node_modules/cdktn/package.json"), "utf8")) as {
    version: string;
  };
  expect(cdktn).toMatchObject({ "//": { metadata: { version } } });
});

test("main.ts and modules/ pass its type check, without CDKTF", () => {
  const { status, stdout } = run(join(ROOT, "node_modules/.bin/tsc"), ["--listFiles", "--project", CDKTN]);
  if (status !== 0) throw new Error(stdout);
  const read = stdout.split("\n");
  expect(read.filter((file) => file.startsWith(join(ROOT, "modules/"))).length).toBeGreaterThan(0);
  const others = ["cdktf", "@cdktf", "constructs"].map((name) => join(ROOT, "node_modules", name, "/"));
  const foreign = read.filter((file) => others.some((other) => file.startsWith(other)));
  expect(foreign).toEqual([]);
});

deployed((parts) => {
  test("what cdktf has deployed, its own command deploys without a change, and destroys", async () => {
    const api = await startApi("580247275435");
    await publishLayer(clientOf(api), "LambdaInsightsExtension-Arm64", 27);
    const project = await startProject(parts, api);
    expect((await project.cdktf("deploy")).output).toMatch(/Apply complete! Resources: \d+ added/);
    project.cli = [node, join(CDKTN, "node_modules/cdktn-cli/bin/cdktn")];
    project.environment = {
      PATH: `${dirname(node)}:${process.env["PATH"] ?? ""}`,
      TSX_TSCONFIG_PATH: join(CDKTN, "tsconfig.json"),
    };
    expect((await project.cdktf("deploy")).output).toMatch(/No changes|Resources: 0 added, 0 changed, 0 destroyed/);
    expect((await project.cdktf("destroy")).output).toMatch(/Destroy complete! Resources: [1-9]/);
  });
});

test("the tests of modules/ pass without CDKTF", () => {
  const jest = join(ROOT, "node_modules/jest/bin/jest.js");
  const { status, stderr } = run(node, [jest, "--config", join(CDKTN, "jest.config.cjs"), "--silent"]);
  if (status !== 0) throw new Error(stderr);
  expect(Number(/^Tests: +(\d+) passed/m.exec(stderr)?.[1])).toBeGreaterThan(0);
}, 300_000);
