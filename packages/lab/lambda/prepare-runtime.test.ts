import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const RUNTIMES = join(__dirname, "runtimes");

function prepare(runtime: string, program = join(__dirname, "prepare-runtime.mjs"), env = process.env) {
  return spawnSync(process.execPath, [program, runtime], { encoding: "utf8", env });
}

test("an unknown runtime is refused, with those that are known", () => {
  const { status, stdout, stderr } = prepare("nodejs14.x");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toContain('the lab has no runtime "nodejs14.x", expected one of nodejs22.x, nodejs24.x');
});

test("without npm's registry it says so in a sentence", () => {
  const directory = mkdtempSync(join(tmpdir(), "offline-"));
  const program = join(directory, "prepare-runtime.mjs");
  cpSync(join(__dirname, "prepare-runtime.mjs"), program);
  for (const file of ["package.json", "package-lock.json"]) {
    cpSync(join(RUNTIMES, "nodejs24.x", file), join(directory, "runtimes/nodejs24.x", file));
  }
  const offline = { npm_config_registry: "http://127.0.0.1:1", npm_config_fetch_retries: "0" };
  const npm = { npm_execpath: undefined, npm_config_cache: join(directory, "cache"), HOME: directory };
  const { status, stderr } = prepare("nodejs24.x", program, { ...process.env, ...offline, ...npm });
  rmSync(directory, { recursive: true });
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^… .*\nruntime nodejs24\.x: npm ci failed in .*ECONNREFUSED.*; connect to npm's registry.*\n$/,
  );
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
