import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { addon, HANDLER, project, run, stage, type Files } from "../__tests__/code-project";
import { problemsOf } from "../__tests__/synthesis";

interface Published {
  readonly version?: string;
  readonly fields?: object;
  readonly files?: Files;
}

/** A project whose package-lock.json names tarballs instead of a registry; node_modules has the packages' manifests. */
function projectWith(packages: Readonly<Record<string, Published>>, files: Files = {}): string {
  const root = project({ "index.ts": HANDLER, "package.json": "{}", ...files });
  const entries = Object.entries(packages).map(
    ([place, { version = "1.0.0", fields = {}, files: own = {} }], index) => {
      const name = place.split("node_modules/").at(-1) ?? "";
      const manifest = { name, version, main: "index.js", ...fields };
      const source = project({
        ...Object.fromEntries(Object.entries(own).map(([file, content]) => [`package/${file}`, content])),
        "package/package.json": JSON.stringify(manifest),
      });
      const tarball = `tarballs/${index}.tgz`;
      mkdirSync(path.join(root, "tarballs"), { recursive: true });
      execFileSync("tar", ["czf", path.join(root, tarball), "package"], { cwd: source });
      mkdirSync(path.join(root, place), { recursive: true });
      writeFileSync(path.join(root, place, "package.json"), JSON.stringify(manifest));
      return [place, { ...manifest, resolved: `file:${path.join(root, tarball)}` }] as const;
    },
  );
  const lock = { name: "app", lockfileVersion: 3, packages: { "": {}, ...Object.fromEntries(entries) } };
  writeFileSync(path.join(root, "package-lock.json"), JSON.stringify(lock));
  return root;
}

function withoutNpm<T>(make: () => T): T {
  const { PATH } = process.env;
  process.env.PATH = "";
  try {
    return make();
  } finally {
    process.env.PATH = PATH;
  }
}

const IMAGE = {
  "node_modules/image": {
    version: "2.0.0",
    fields: {
      dependencies: { shared: "^2", other: "1" },
      optionalDependencies: Object.fromEntries(
        ["linux-arm64", "linux-x64", "darwin-arm64"].map((name) => [`@image/${name}`, "2.0.0"]),
      ),
    },
    files: { "index.js": `module.exports = [require("shared"), require("other")];` },
  },
  "node_modules/image/node_modules/shared": {
    version: "2.1.0",
    files: { "index.js": `module.exports = "shared 2";` },
  },
  "node_modules/shared": { version: "1.0.0", files: { "index.js": `module.exports = "shared 1";` } },
  "node_modules/other": {
    fields: { dependencies: { shared: "^1" } },
    files: { "index.js": `module.exports = "other with " + require("shared");` },
  },
  "node_modules/unrelated": {},
};

function binary(cpu: "arm64" | "x64", os = "linux"): Readonly<Record<string, Published>> {
  const fields = { os: [os], cpu: [cpu], optional: true, ...(os === "linux" ? { libc: ["glibc"] } : {}) };
  return { [`node_modules/@image/${os}-${cpu}`]: { version: "2.0.0", fields, files: { "image.node": addon(cpu) } } };
}

const BINARIES = { ...binary("arm64"), ...binary("x64"), ...binary("arm64", "darwin") };
const IMPORT = { "index.ts": `import image from "image"; export const handler = async () => image;` };

describe("packages of package-lock.json", () => {
  const root = projectWith({ ...IMAGE, ...BINARIES }, IMPORT);

  test("come with their dependencies, each in its version, and nothing else", () => {
    const staged = stage(root, { install: ["image"] });
    expect(run(staged)).toEqual(["shared 2", "other with shared 1"]);
    const packages = ["@image/linux-arm64", "image/node_modules/shared", "image", "other", "shared"];
    expect(staged.names.filter((name) => name.endsWith("package.json"))).toEqual(
      packages.map((name) => `node_modules/${name}/package.json`),
    );
    expect(staged.names.filter((name) => /\.bin|package-lock/.test(name))).toEqual([]);
    expect(staged.warnings).toEqual([]);
  });

  test.each([
    ["arm64", "node_modules/@image/linux-arm64/image.node"],
    ["x86_64", "node_modules/@image/linux-x64/image.node"],
  ] as const)("are those for the function's architecture: %s", (architecture, addonFile) => {
    const { names } = stage(root, { install: ["image"], architecture });
    expect(names.filter((name) => name.endsWith(".node"))).toEqual([addonFile]);
  });

  test("are installed by npm once", () => {
    const first = stage(root, { install: ["image"] });
    renameSync(path.join(root, "tarballs"), path.join(root, "gone"));
    expect(withoutNpm(() => stage(root, { install: ["image"] })).sourceDir).toBe(first.sourceDir);
    renameSync(path.join(root, "gone"), path.join(root, "tarballs"));
    expect(readdirSync(path.join(root, "node_modules/.cache/lambda-graceful-shutdown-cdktf"))).toHaveLength(2);
  });
});

test("the packages beside a workspace come before those of the project", () => {
  const file = (text: string): Published => ({ version: text, files: { "index.js": `module.exports = "${text}";` } });
  const root = projectWith(
    { "node_modules/a": file("1.0.0"), "apps/one/node_modules/a": file("2.0.0") },
    { "apps/one/src/index.ts": `import a from "a"; export const handler = async () => a;` },
  );
  expect(run(stage(root, { install: ["a"] }, "apps/one/src/index.ts"))).toBe("2.0.0");
});

test("an install script runs only for a package that comes without native code for the platform", () => {
  const build = `require("fs").copyFileSync("prebuilt", "a.node"); require("fs").writeFileSync("arch", process.env.npm_config_arch)`;
  const scripts = { scripts: { install: "node build.js" }, hasInstallScript: true };
  const script = { "build.js": build, prebuilt: addon("x64") };
  const root = projectWith({
    "node_modules/built": { fields: scripts, files: { ...script, "binding.gyp": "{}" } },
    "node_modules/complete": { fields: scripts, files: { ...script, "binding.gyp": "{}", "x.node": addon("x64") } },
    "node_modules/plain": { fields: scripts, files: script },
  });
  const { names } = stage(root, { install: ["built", "complete", "plain"], architecture: "x86_64" });
  expect(names.filter((name) => /\.node$|arch$/.test(name))).toEqual([
    "node_modules/built/a.node",
    "node_modules/built/arch",
    "node_modules/complete/x.node",
  ]);
});

describe("a package is refused", () => {
  test.each([
    ["another architecture", addon("x64"), "has native code for linux-x64-glibc only"],
    ["another C library", addon("arm64", "libc.musl-"), "has native code for linux-arm64-musl only"],
    ["another system", "Mach-O", "has native code for another system only"],
  ])("that has native code for %s", (_, content, expected) => {
    const root = projectWith({ "node_modules/a": { files: { "build/x.node": content } } });
    expect(problemsOf(() => stage(root, { install: ["a"] }))).toEqual([expect.stringContaining(expected)]);
  });

  test("that is not installed", () => {
    expect(problemsOf(() => stage(projectWith({}), { install: ["missing"] }))).toEqual([
      expect.stringMatching(
        /^code.install "missing" is not installed where .* could import it\. Run npm install missing/,
      ),
    ]);
  });

  test("that npm cannot install, in one line", () => {
    const root = projectWith({ "node_modules/a": {} });
    renameSync(path.join(root, "tarballs"), path.join(root, "gone"));
    const [found = "", ...more] = problemsOf(() => stage(root, { install: ["a"] }));
    expect(found).toMatch(/^code.install \["a"\] cannot be installed by npm: .*ENOENT.*0\.tgz/);
    expect(found).not.toContain("\n");
    expect(more).toEqual([]);
  });

  test("where there is no npm", () => {
    const root = projectWith({ "node_modules/a": {} });
    expect(problemsOf(() => withoutNpm(() => stage(root, { install: ["a"] })))).toEqual([
      `code.install ["a"] needs npm, which cannot be started: spawnSync npm ENOENT`,
    ]);
  });
});

describe("Prisma's generated client", () => {
  const engine = (target: string): string => `node_modules/.prisma/client/libquery_engine-${target}.so.node`;
  const generated = { "node_modules/.prisma/client/schema.prisma": "", "node_modules/.prisma/client/index.js": "" };
  const source = { "index.ts": `import prisma from "@prisma/client"; export const handler = async () => prisma;` };
  const client = { "node_modules/@prisma/client": { files: { "index.js": "" } } };
  const staged = (files: Files, architecture: "arm64" | "x86_64" = "arm64") =>
    stage(projectWith(client, { ...source, ...files }), { install: ["@prisma/client"], architecture });

  test("is deployed, with the engine for the function's architecture", () => {
    const [arm64, x64] = [engine("linux-arm64-openssl-3.0.x"), engine("rhel-openssl-3.0.x")];
    const files = { ...generated, [arm64]: addon("arm64"), [x64]: addon("x64"), [engine("darwin")]: "Mach-O" };
    const deployed = (architecture: "arm64" | "x86_64"): readonly string[] =>
      staged(files, architecture).names.filter((name) => name.includes(".prisma"));
    expect(deployed("arm64")).toEqual([...Object.keys(generated), arm64].sort());
    expect(deployed("x86_64")).toEqual([...Object.keys(generated), x64].sort());
  });

  test("must have an engine for the architecture, if it has one", () => {
    expect(problemsOf(() => staged({ ...generated, [engine("debian-openssl-3.0.x")]: addon("x64") }))).toEqual([
      expect.stringContaining(`Set binaryTargets = ["native", "linux-arm64-openssl-3.0.x"]`),
    ]);
    expect(problemsOf(() => staged(generated))).toEqual([]);
  });

  test("is missed with a warning", () => {
    expect(staged({}).warnings).toEqual([expect.stringContaining("Run npx prisma generate")]);
  });
});

test("a generated package, which no lock file names, is deployed as it is", () => {
  const files = (content: string): Files => ({ "node_modules/a/package.json": "{}", "node_modules/a/x": content });
  const sourceDir = (content: string): string => stage(projectWith({}, files(content)), { install: ["a"] }).sourceDir;
  expect(sourceDir("1")).toBe(sourceDir("1"));
  expect(sourceDir("2")).not.toBe(sourceDir("1"));
});
