/** The command that prints the tables of the lab's README. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { LANGUAGE_CASES, languagesTable } from "../runs/language-cases";
import { EXPECTED_ROWS, userHandlersTable } from "../runs/user-handlers";

jest.setTimeout(120_000);

const ROOT = join(__dirname, "../../..");
const scratch = mkdtempSync(join(tmpdir(), "verdicts-"));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

async function verdicts(path: string | undefined, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, MYSQL_URL: "", NO_COLOR: "1", FORCE_COLOR: undefined, PATH: path };
  const command = ["--import", "tsx", "packages/lab/cli/lab.ts", "verdicts", ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: ROOT, env });
  return stdout;
}

/** The PATH with some programs, and neither Go nor a PostgreSQL server. */
function pathWith(...programs: readonly string[]): string {
  const folder = mkdtempSync(join(scratch, "bin-"));
  for (const program of programs) symlinkSync(program, join(folder, program.split("/").at(-1) ?? ""));
  return folder;
}

test("rows that come out as the README says are printed as the README has them", async () => {
  for (const only of ["pg, closed", "no database"]) {
    const rows = EXPECTED_ROWS.filter(({ name }) => name.includes(only));
    const printed = await verdicts(process.env["PATH"], "--table", "handlers", "--only", only, "--markdown");
    // Without Go the second judge is missing, and says so.
    const emulated = "not proven here: no AWS emulator, and no Go to build it";
    const alone = userHandlersTable(rows.map((row) => ({ ...row, emulated })));
    expect([userHandlersTable(rows), alone]).toContain(printed.trimEnd());
  }
});

test("the database of the command has TLS, and a client that asks for it is judged as the README says", async () => {
  const only = "python, on SIGTERM: exit";
  const printed = await verdicts(process.env["PATH"], "--table", "languages", "--only", only, "--markdown");
  const rows = LANGUAGE_CASES.filter(({ language, onSigterm }) => language === "python" && onSigterm === "exit");
  const endedBy = "not proven here: no python3";
  const alone = languagesTable(
    rows.map(({ language, extension }) => ({ language, onSigterm: "exit", extension, endedBy })),
  );
  expect([languagesTable(rows), alone]).toContain(printed.trimEnd());
});

test("what this machine lacks is not left out", async () => {
  const path = pathWith("/bin/sh", process.execPath);
  const printed = await verdicts(path, "--table", "languages", "--only", "go,", "--json");
  const { languages } = JSON.parse(printed) as { readonly languages: readonly object[] };
  expect(languages).toHaveLength(6);
  for (const row of languages) {
    expect(row).toMatchObject({ endedBy: "not proven here: no go", isUnproven: true });
    expect(row).not.toHaveProperty("outcome");
  }
});

test("without a mount namespace the second judge is missing, and says so", async () => {
  const go = spawnSync("sh", ["-c", "command -v go"], { encoding: "utf8" }).stdout.trim();
  const path = pathWith("/bin/sh", process.execPath, ...(go === "" ? [] : [go]));
  const printed = await verdicts(path, "--table", "handlers", "--only", "no database, process", "--json");
  const { handlers } = JSON.parse(printed) as { readonly handlers: readonly object[] };
  expect(handlers).toMatchObject([
    { verdict: "no database seen", emulated: "not proven here: no mount namespace for AWS's emulator" },
  ]);
});
