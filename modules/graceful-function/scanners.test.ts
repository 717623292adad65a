/** Checkov (PyPI: checkov) on the JSON of both constructs, compared with the tables of docs/infrastructure.md. */
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { Testing } from "cdktf";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { GracefulFunction } from "./graceful-function";
import { MysqlDatabase, type MysqlDatabaseConfig } from "../mysql-database/mysql-database";
import { scannedDatabase } from "../__tests__/examples/scanned-database";
import { documentRows } from "../__tests__/document-rows";
import { FUNCTION, newStack, temporaryDirectory } from "../__tests__/synthesis";

interface Findings {
  readonly failed: readonly string[];
  readonly passed: readonly string[];
}

const isInstalled = spawnSync("checkov", ["--version"]).status === 0;

function checkov(json: string): Findings {
  const file = path.join(temporaryDirectory(), "cdk.tf.json");
  writeFileSync(file, json);
  const { stdout, stderr } = spawnSync("checkov", ["--framework", "terraform_json", "-o", "json", "-f", file], {
    env: { ...process.env, LOG_LEVEL: "ERROR" },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (!stdout.trimStart().startsWith("{")) throw new Error(`checkov gave no JSON: ${stdout}${stderr}`);
  const { results } = JSON.parse(stdout) as {
    results: Record<"failed_checks" | "passed_checks", { check_id: string }[]>;
  };
  const ids = (checks: { check_id: string }[]): string[] => [...new Set(checks.map((each) => each.check_id))].sort();
  return { failed: ids(results.failed_checks), passed: ids(results.passed_checks) };
}

/** Rule → the cell "with": "holds" by default, a setting, or "–". */
function documented(heading: string): Map<string, string> {
  const [, ...rows] = documentRows(heading);
  return new Map(rows.map(([id = "", , setting = ""]) => [id, setting]));
}

function failing(rules: Map<string, string>): string[] {
  return [...rules].filter(([, setting]) => setting !== "holds").map(([id]) => id);
}

function database(settings: Partial<MysqlDatabaseConfig> = {}, add: typeof scannedDatabase = () => undefined): string {
  const stack = newStack();
  new AwsProvider(stack, "aws", { region: "us-east-1" });
  const config = { region: "us-east-1", name: "orders", databaseName: "orders", ...settings };
  add(stack, new MysqlDatabase(stack, "database", config));
  return Testing.synth(stack);
}

const functionRules = documented("The rules of scanners");
const databaseRules = documented("The rules of scanners for the database");

test("both tables have rules that hold and rules that do not", () => {
  for (const rules of [functionRules, databaseRules]) {
    expect(failing(rules).length).toBeGreaterThan(5);
    expect(rules.size).toBeGreaterThan(failing(rules).length);
  }
});

if (isInstalled) {
  test("Checkov finds in the function what its table has, and nothing else", () => {
    const stack = newStack();
    new AwsProvider(stack, "aws", { region: "us-east-1" });
    new GracefulFunction(stack, "function", FUNCTION);
    const { failed, passed } = checkov(Testing.synth(stack));
    expect(failed).toEqual(failing(functionRules).sort());
    const holding = [...functionRules.keys()].filter((id) => !failed.includes(id));
    expect(passed).toEqual(expect.arrayContaining(holding));
  }, 240_000);

  test("Checkov finds in the database what its table has, and with the settings of the table nothing but the last rule", () => {
    const { failed, passed } = checkov(database());
    expect(failed).toEqual(failing(databaseRules).sort());
    const holding = [...databaseRules.keys()].filter((id) => !failed.includes(id));
    expect(passed).toEqual(expect.arrayContaining(holding));

    const cured = failing(databaseRules).filter((id) => databaseRules.get(id) !== "–");
    const { passed: after } = checkov(database({ iamAuthentication: true }, scannedDatabase));
    expect(after).toEqual(expect.arrayContaining(cured));
  }, 240_000);
} else {
  test("not tested, no checkov on PATH (pip install checkov): what it finds in both stacks", () => {
    console.warn("not tested, no checkov on PATH (pip install checkov): what it finds in both stacks");
  });
}
