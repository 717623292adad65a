/** What `npm pack` packs, installed into apps of others: what `cdktf init` makes, a workspace, and CDK Terrain. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(__dirname, "../../../..");
const CDKTN = join(ROOT, "__tests__/cdktn");
const NAME = "lambda-graceful-shutdown";

/** What an app has of its own. Linked, since the bindings alone take most of a minute to install. */
const APP = ["cdktf", "constructs", "@cdktf/provider-aws", "@cdktf/provider-archive", "typescript", "ts-node"];
const TYPES = ["@types/node", "undici-types"];

/** The options of what `cdktf init --template=typescript` writes. */
const STOCK_TSCONFIG = {
  compilerOptions: {
    alwaysStrict: true,
    declaration: true,
    experimentalDecorators: true,
    inlineSourceMap: true,
    inlineSources: true,
    lib: ["es2018"],
    module: "CommonJS",
    noEmitOnError: true,
    noFallthroughCasesInSwitch: true,
    noImplicitAny: true,
    noImplicitReturns: true,
    noImplicitThis: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    resolveJsonModule: true,
    strict: true,
    strictNullChecks: true,
    strictPropertyInitialization: true,
    stripInternal: true,
    target: "ES2018",
    incremental: true,
    skipLibCheck: true,
  },
  include: ["**/*.ts"],
  // The function's own code is another program, which awaits at its top level.
  exclude: ["node_modules", "cdktf.out", "orders"],
};

/** What docs/package.md tells to write: the app, and the function. */
const [MAIN = "", FUNCTION = ""] = [
  ...readFileSync(join(ROOT, "docs/package.md"), "utf8").matchAll(/^```ts\n(.*?)^```/gms),
].map(([, code]) => code ?? "");

function main(library: "cdktf" | "cdktn"): string {
  const app = MAIN.replace('"orders/index.ts"', 'process.env.ENTRY ?? "orders/index.ts"');
  if (library === "cdktf") return app;
  return app.replaceAll('"@cdktf/', '"@cdktn/').replace('"cdktf"', '"cdktn"').replace(`"${NAME}"`, `"${NAME}/cdktn"`);
}

const scratch = mkdtempSync(join(tmpdir(), "package-"));
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** A copy, since npm builds dist/ where it packs, and a test leaves nothing behind. */
const source = join(scratch, "source");
const installed = join(scratch, "installed");
let packed: readonly string[] = [];

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

beforeAll(() => {
  mkdirSync(source);
  const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT, encoding: "utf8" });
  for (const file of tracked
    .trim()
    .split("\n")
    .filter((each) => existsSync(join(ROOT, each)))) {
    cpSync(join(ROOT, file), join(source, file));
  }
  symlinkSync(join(ROOT, "node_modules"), join(source, "node_modules"));
  run("npm", ["pack", "--pack-destination", scratch], source);
  const tarball = readdirSync(scratch).find((name) => name.endsWith(".tgz")) ?? "";
  packed = run("tar", ["tzf", join(scratch, tarball)], scratch)
    .trim()
    .split("\n");

  mkdirSync(installed);
  writeFileSync(join(installed, "package.json"), "{}");
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--legacy-peer-deps"];
  run("npm", ["install", ...options, join(scratch, tarball)], installed);
}, 240_000);

/** A directory with the installed package and the packages of an app. */
function newApp(name: string, links: Readonly<Record<string, string>>): string {
  const app = join(scratch, name);
  mkdirSync(app);
  cpSync(join(installed, "node_modules"), join(app, "node_modules"), { recursive: true, verbatimSymlinks: true });
  for (const [link, target] of Object.entries(links)) {
    const place = join(app, "node_modules", link);
    rmSync(place, { recursive: true, force: true });
    mkdirSync(join(place, ".."), { recursive: true });
    symlinkSync(target, place);
  }
  return app;
}

const linked = (names: readonly string[], from = ROOT): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, join(from, "node_modules", name)]));

function write(directory: string, files: Readonly<Record<string, string | object>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
  }
}

/** The deployed directory of the one function. */
function synthesized(app: string): { readonly names: readonly string[]; readonly code: string } {
  const assets = join(app, "cdktf.out/stacks/app/assets");
  const [asset = ""] = readdirSync(assets);
  const [version = ""] = readdirSync(join(assets, asset));
  const directory = join(assets, asset, version);
  const code = readFileSync(join(directory, "index.mjs"), "utf8");
  return { names: readdirSync(directory).sort(), code };
}

const DEPLOYED = ["certificate-authorities.pem", "deferred", "index.mjs", "index.mjs.map"];

test("the package contains the build, and nothing of the sources and the lab", () => {
  const outside = packed.filter((name) => !name.startsWith("package/dist/")).sort();
  expect(outside).toEqual(["package/LICENSE", "package/README.md", "package/package.json"]);
  const folders = [...new Set(packed.map((name) => /^package\/dist\/([^/]+)\//.exec(name)?.[1]))].filter(Boolean);
  expect(folders.sort()).toEqual(["cdktn", "construct", "function"]);
  for (const file of ["insights-layers.json", "rds-roots.pem"])
    expect(packed).toContain(`package/dist/construct/${file}`);
});

test("npm builds it for a Git URL, and not in a clone that is set up", () => {
  const prepare = (environment: NodeJS.ProcessEnv): boolean => {
    rmSync(join(source, "dist"), { recursive: true, force: true });
    run("npm", ["run", "prepare"], source, environment);
    return existsSync(join(source, "dist/function/index.mjs"));
  };
  expect(prepare({})).toBe(false);
  // As npm (pacote) calls it when it packs a clone of its own.
  expect(prepare({ npm_package_resolved: source })).toBe(true);
});

describe("in a project of cdktf init", () => {
  let app = "";
  beforeAll(() => {
    app = newApp("stock", linked([...APP, ...TYPES]));
    const cdktf = { language: "typescript", app: "npx ts-node main.ts", projectId: "x", sendCrashReports: "false" };
    write(app, {
      "cdktf.json": cdktf,
      "package.json": { name: "stock", private: true },
      "tsconfig.json": STOCK_TSCONFIG,
      "main.ts": main("cdktf"),
      "orders/index.ts": FUNCTION,
    });
  });

  test("the app synthesizes by the app command, and deploys the function library", () => {
    run("npx", ["--no-install", "ts-node", "main.ts"], app);
    const { names, code } = synthesized(app);
    expect(names).toEqual(DEPLOYED);
    expect(code).toContain("onShutdown");
  }, 120_000);

  test("right settings pass the type check, and a wrong one does not", () => {
    const check = (): string => run(process.execPath, ["node_modules/typescript/bin/tsc", "--noEmit"], app);
    expect(check()).toBe("");
    write(app, { "main.ts": main("cdktf").replace("functionName:", "functionNam:") });
    expect(check).toThrow("functionNam");
    write(app, { "main.ts": main("cdktf") });
  }, 240_000);

  test("a type error of the function fails the synthesis, with a path relative to cdktf.json", () => {
    write(app, { "orders/wrong.ts": `${FUNCTION}\nexport const x: number = database;` });
    const failing = (): string =>
      run("npx", ["--no-install", "ts-node", "-T", "main.ts"], app, { ENTRY: "orders/wrong.ts" });
    expect(failing).toThrow(
      /app\/orders: code\.entry "orders\/wrong\.ts" does not compile: orders\/wrong\.ts:9:14 TS2322/,
    );
    rmSync(join(app, "orders/wrong.ts"));
  }, 120_000);

  test("nothing else can be imported", () => {
    const load = (name: string): string =>
      run(process.execPath, ["-e", `import("${NAME}${name}").then(() => {})`], app);
    for (const name of ["", "/function"]) expect(load(name)).toBe("");
    for (const name of ["/dist/construct/arn.js", "/modules/arn", "/main"]) {
      expect(() => load(name)).toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
    }
  });
});

test("in a workspace the packages above are found", () => {
  const workspace = newApp("workspace", linked([...APP, ...TYPES]));
  const infrastructure = join(workspace, "packages/infrastructure");
  write(workspace, {
    "package.json": { name: "workspace", private: true, workspaces: ["packages/*"] },
    "packages/infrastructure/package.json": { name: "infrastructure" },
    "packages/infrastructure/cdktf.json": { language: "typescript", app: "npx ts-node main.ts" },
    "packages/infrastructure/tsconfig.json": STOCK_TSCONFIG,
    "packages/infrastructure/main.ts": main("cdktf"),
    "packages/orders/package.json": { name: "orders", type: "module" },
    "packages/orders/tsconfig.json": {
      compilerOptions: { module: "NodeNext", strict: true, composite: true, rootDir: "src" },
    },
    "packages/orders/src/index.ts": FUNCTION,
  });
  run("npx", ["--no-install", "ts-node", "main.ts"], infrastructure, { ENTRY: "../orders/src/index.ts" });
  expect(synthesized(infrastructure).names).toEqual(DEPLOYED);
}, 120_000);

test("on CDK Terrain the construct is that of CDK Terrain", () => {
  if (!existsSync(join(CDKTN, "node_modules/.package-lock.json"))) run("npm", ["ci", "--no-audit", "--no-fund"], CDKTN);
  const app = newApp("terrain", {
    ...linked(["typescript", "ts-node", ...TYPES]),
    ...linked(["cdktn", "constructs", "@cdktn/provider-aws", "@cdktn/provider-archive"], CDKTN),
  });
  write(app, {
    "cdktf.json": { language: "typescript", app: "npx ts-node main.ts" },
    "package.json": { name: "terrain", private: true },
    "tsconfig.json": STOCK_TSCONFIG,
    "main.ts": main("cdktn"),
    "orders/index.ts": FUNCTION,
  });
  run("npx", ["--no-install", "ts-node", "main.ts"], app);
  expect(synthesized(app).names).toEqual(DEPLOYED);
  expect(existsSync(join(app, "node_modules/cdktf"))).toBe(false);
}, 300_000);
