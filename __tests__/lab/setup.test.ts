import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RUNTIMES } from "../../modules/graceful-function";

const ROOT = join(__dirname, "../..");
const LAB = join(ROOT, "lab");

function setup(...args: readonly string[]) {
  return spawnSync(process.execPath, [join(LAB, "setup.mjs"), ...args], { encoding: "utf8" });
}

function lockedPackages(...directory: readonly string[]): Readonly<Record<string, { readonly version?: string }>> {
  const lock = JSON.parse(readFileSync(join(ROOT, ...directory, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version?: string }>;
  };
  return lock.packages;
}

test("what is prepared is not prepared again: nothing is run, nothing is said", () => {
  const { status, stdout, stderr } = setup("--test");
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
});

test("an unknown runtime is refused with the place where the known ones are", () => {
  const { status, stderr } = setup("--runtime", "nodejs14.x");
  expect(status).toBe(1);
  expect(stderr).toBe('setup: the lab has no runtime "nodejs14.x"; the ones it has are the folders of lab/runtimes\n');
});

test("the lab has every runtime that the construct allows, locked, with the same client", () => {
  expect(readdirSync(join(LAB, "runtimes")).sort()).toEqual([...RUNTIMES].sort());
  for (const runtime of RUNTIMES) {
    const packages = lockedPackages("lab/runtimes", runtime);
    expect(packages["node_modules/aws-lambda-ric"]?.version).toBe("4.0.2");
    const major = runtime.replace(/\D/g, "");
    for (const cpu of ["x64", "arm64"]) {
      expect(packages[`node_modules/node-linux-${cpu}`]?.version).toMatch(new RegExp(`^${major}\\.`));
    }
  }
});

test("CDK Terrain is locked, apart from the project's own dependencies, with the constructs of the project", () => {
  const own = lockedPackages();
  const terrain = lockedPackages("__tests__/cdktn");
  expect(Object.keys(own).filter((name) => name.includes("cdktn"))).toEqual([]);
  for (const name of ["cdktn", "@cdktn/provider-aws", "@cdktn/provider-archive"]) {
    expect(terrain[`node_modules/${name}`]?.version).toMatch(/^\d+\.\d+\.\d+$/);
  }
  expect(terrain["node_modules/constructs"]?.version).toBe(own["node_modules/constructs"]?.version);
});
