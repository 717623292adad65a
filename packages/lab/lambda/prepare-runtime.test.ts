import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const RUNTIMES = join(__dirname, "runtimes");

function prepare(runtime: string) {
  return spawnSync(process.execPath, [join(__dirname, "prepare-runtime.mjs"), runtime], { encoding: "utf8" });
}

test("an unknown runtime is refused, with those that are known", () => {
  const { status, stdout, stderr } = prepare("nodejs14.x");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toContain('the lab has no runtime "nodejs14.x", expected one of nodejs22.x, nodejs24.x');
});

test("a runtime that is ready is not prepared again, and only its folder is printed", () => {
  prepare("nodejs24.x");
  const { status, stdout, stderr } = prepare("nodejs24.x");
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${join(RUNTIMES, "nodejs24.x")}\n`, stderr: "" });
});

test.each(readdirSync(RUNTIMES))("%s is locked, with its Node.js for both architectures", (runtime) => {
  const lock = JSON.parse(readFileSync(join(RUNTIMES, runtime, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version?: string }>>;
  };
  expect(lock.packages["node_modules/aws-lambda-ric"]?.version).toMatch(/^\d+\.\d+\.\d+$/);
  for (const cpu of ["x64", "arm64"]) {
    const version = lock.packages[`node_modules/node-linux-${cpu}`]?.version ?? "";
    expect(`nodejs${version.split(".")[0] ?? ""}.x`).toBe(runtime);
  }
});
