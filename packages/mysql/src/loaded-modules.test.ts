/** Init pays for each module of Node.js that is loaded: only those that the first statement needs are. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { buildSync } from "esbuild";
import { FakeDatabase } from "./fake-database.ts";

const directory = mkdtempSync(path.join(tmpdir(), "loaded-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Of no use before the first statement. An import of node:fs loads streams, one of node:net block lists. */
const NOT_NEEDED = [
  ...["worker_threads", "internal/fs/streams", "internal/blocklist", "perf_hooks"],
  ...["_http_client", "zlib", "child_process"],
];

test("the import and the connect load no module of Node.js that the first statement does not need", () => {
  const file = path.join(directory, "index.mjs");
  buildSync({
    stdin: {
      contents: `
        import { handler } from "./index";
        const answer = handler({}).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 100));
        const loaded = process.moduleLoadList.map((name) => name.replace(/^NativeModule /, ""));
        const notNeeded = ${JSON.stringify(NOT_NEEDED)};
        process.stdout.write(JSON.stringify(notNeeded.filter((name) => loaded.includes(name))), () => process.exit());
        await answer;`,
      resolveDir: path.join(__dirname, "../../../function"),
      loader: "ts",
    },
    outfile: file,
    ...{ bundle: true, platform: "node", format: "esm", conditions: ["source"], target: "node22", logLevel: "silent" },
    banner: { js: 'import{createRequire as $r}from"node:module";const require=$r(import.meta.url);' },
  });
  const output = execFileSync(process.execPath, [file], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    // Nobody listens there: the secret's request and the connect begin and fail.
    env: {
      ...{ DB_HOST: "127.0.0.1", DB_PORT: "1", DB_NAME: "app", DB_TLS: "verify", DB_CONNECT_TIMEOUT_MS: "1000" },
      ...{ DB_AUTH: "secret", DB_SECRET_ARN: "app", AWS_REGION: "eu-central-1" },
      ...{ AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key", AWS_ENDPOINT_URL: "https://127.0.0.1:1" },
    },
  });
  expect(JSON.parse(output)).toEqual([]);
});

test("a log-in and a statement run no table of an encoding besides UTF-8", async () => {
  const fake = await FakeDatabase.start();
  const database = JSON.stringify(path.join(__dirname, "database.ts"));
  const script = `
    import Module from "node:module";
    import { Database } from ${database};
    const database = new Database(${JSON.stringify(fake.settings)});
    await database.query("SELECT 1");
    const names = Object.keys(Module._cache).filter((file) => file.includes("iconv-lite"));
    process.stdout.write(JSON.stringify(names.map((file) => file.replace(/.*iconv-lite./, ""))), () => process.exit());`;
  try {
    const file = path.join(directory, "log-in.mts");
    writeFileSync(file, script);
    const command = ["--conditions=source", "--import", require.resolve("tsx"), file];
    const { stdout } = await promisify(execFile)(process.execPath, command);
    const loaded = JSON.parse(stdout) as readonly string[];
    expect(loaded).toContain("lib/index.js");
    expect(loaded.filter((name) => name.startsWith("encodings"))).toEqual([]);
  } finally {
    await fake.close();
  }
});
