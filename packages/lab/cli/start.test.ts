/** The README's first command, as a user runs it. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startDatabaseServer } from "../mysql/database-server";

const ROOT = join(__dirname, "../../..");
const outdir = mkdtempSync(join(tmpdir(), "start-"));
afterAll(() => {
  rmSync(outdir, { recursive: true, force: true });
});

async function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = {
    cwd: ROOT,
    env: { ...process.env, MYSQL_URL: "", CDKTF_OUTDIR: outdir, NO_COLOR: "1", FORCE_COLOR: undefined, ...env },
  };
  try {
    return { code: 0, ...(await promisify(execFile)("npm", ["start", "--silent", "--", ...args], options)) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test("npm start shows the timeline, three ways side by side and the verdict, and ends with 0", async () => {
  const { code, stdout, stderr } = await start([]);
  expect(stderr).toContain("database     MariaDB");
  for (const text of [
    "this function",
    "the article's way",
    "no extension",
    "COM_QUIT to the server",
    "leaked until wait_timeout",
    "\nlog-in: secret from the lab's fake of Secrets Manager, TLS verified against the lab's certificate authority\n",
  ]) {
    expect(stdout).toContain(text);
  }
  expect(stdout).toMatch(/│ Log-in +│ secret, TLS verified +│ password, no TLS +│ secret, TLS verified +│/);
  expect(stdout.trim().split("\n").at(-1)).toMatch(
    /^✓ this function gave every connection back: 1 opened, 1 closed with COM_QUIT/,
  );
  expect(code).toBe(0);
});

test("npm start -- --json prints the results and nothing else, from the server in MYSQL_URL", async () => {
  const server = await startDatabaseServer();
  try {
    const { user, password, host, port, database } = server;
    const { code, stdout } = await start(["--json"], {
      MYSQL_URL: `mysql://${user}:${password}@${host}:${port}/${database}`,
    });
    const result = JSON.parse(stdout) as {
      clean: boolean;
      database: { kind: string };
      results: { outcomes: string[]; logIn: object }[];
    };
    expect(result).toMatchObject({ clean: true, database: { kind: "url" } });
    expect(result.results.map(({ outcomes }) => outcomes)).toEqual([["closed"], ["closed"], ["leaked"]]);
    const asDeployed = { auth: "secret", tls: "verified" };
    const articles = { auth: "password", tls: "none" };
    expect(result.results.map(({ logIn }) => logIn)).toEqual([asDeployed, articles, asDeployed]);
    expect(stdout).not.toContain(password);
    expect(code).toBe(0);
  } finally {
    await server.stop();
  }
});

test("a MYSQL_URL that cannot be used ends with 2 and says what is wrong, without the password", async () => {
  const { code, stderr } = await start([], { MYSQL_URL: "postgres://me:hush@db:5432/shop" });
  expect(code).toBe(2);
  expect(stderr).toContain("MYSQL_URL");
  expect(stderr).not.toContain("hush");
});

test("an unknown option ends with 2 and names it", async () => {
  const { code, stderr } = await start(["--jsno"]);
  expect(code).toBe(2);
  expect(stderr).toContain("unknown option '--jsno'");
});
