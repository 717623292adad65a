/** The command that prints the tables of the lab's README. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { EXPECTED_ROWS, userHandlersTable } from "../scenarios/user-handlers";

jest.setTimeout(120_000);

const ROOT = join(__dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "verdicts-"));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

async function verdicts(path: string | undefined, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, MYSQL_URL: "", NO_COLOR: "1", FORCE_COLOR: undefined, PATH: path };
  const command = ["--import", "tsx", "lab/cli/lab.ts", "verdicts", ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: ROOT, env });
  return stdout;
}

/** The PATH with some programs, and neither Go nor a PostgreSQL server. */
function pathWith(...programs: readonly string[]): string {
  const folder = join(scratch, "bin");
  mkdirSync(folder, { recursive: true });
  for (const program of programs) symlinkSync(program, join(folder, program.split("/").at(-1) ?? ""));
  return folder;
}

test("rows that come out as the README says are printed as the README has them", async () => {
  const rows = EXPECTED_ROWS.filter(({ name }) => name === "pg, closed" || name === "no database");
  for (const row of rows) {
    const printed = await verdicts(process.env["PATH"], "--table", "handlers", "--only", row.name, "--markdown");
    const lines = printed.trim().split("\n");
    const line = userHandlersTable([row]).split("\n").at(-1) ?? "";
    // Without Go the second judge is missing, and says so.
    expect([
      line,
      line.replace(` | ${row.emulated} | `, " | not proven here: no AWS emulator, and no Go to build it | "),
    ]).toContain(lines[2]);
  }
});

test("what this machine lacks is not left out", async () => {
  const path = pathWith("/bin/sh", process.execPath);
  const printed = await verdicts(path, "--table", "languages", "--only", "go,", "--json");
  const { languages } = JSON.parse(printed) as { readonly languages: readonly object[] };
  expect(languages).toHaveLength(6);
  for (const row of languages) expect(row).toMatchObject({ endedBy: "not proven here: no go", isUnproven: true });
});
