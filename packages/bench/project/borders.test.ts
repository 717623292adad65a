/** The linter holds the borders between the rooms: each room is given one import that it may not have. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectFiles } from "./files";

const ROOT = join(__dirname, "../../..");

/** A room, and what it may not import. */
const FORBIDDEN: readonly (readonly [room: string, path: string])[] = [
  ["function", "../modules/terraform/path-name"],
  ["packages/shutdown/src", "../../mysql/src/database"],
  ["packages/mysql/src", "../../shutdown/src/shutdown"],
  ["packages/mysql/src/pool", "../../../shutdown/src/shutdown"],
  ["modules/terraform", "../code/bundle"],
  ["modules/code", "../export/export"],
  ["modules/graceful-function", "../mysql-database/mysql-database"],
  ["modules/mysql-database", "../code/bundle"],
  ["__tests__", "../packages/lab/lambda/ending"],
  ["packages/lab/processes", "../mysql/server"],
  ["packages/lab/mysql", "../lambda/ending"],
  ["packages/lab/lambda", "../mysql/relay"],
  ["packages/lab/functions", "../runs/run"],
  ["packages/lab/runs", "../cli/usage-error"],
  ["packages/lab/faults", "../cli/usage-error"],
  ["packages/lab/report", "../cli/usage-error"],
  ["packages/lab/cli", "../../../modules/terraform/path-name"],
];

// A process of its own: ESLint loads its configuration as an ES module, which Jest does not.
const LINT = `
  import { ESLint } from "eslint";
  const eslint = new ESLint({ ruleFilter: ({ ruleId }) => ruleId === "no-restricted-imports", overrideConfig: {
    languageOptions: { parserOptions: { projectService: false, project: null } } } });
  const rules = async ([room, path]) => {
    const [result] = await eslint.lintText(\`import "\${path}";\n\`, { filePath: \`\${room}/made-up.ts\` });
    return result.messages.map(({ ruleId }) => ruleId);
  };
  console.log(JSON.stringify(await Promise.all(JSON.parse(process.argv[1]).map(rules))));`;

test("each room's forbidden import is found", () => {
  const rooms = FORBIDDEN.filter(([room]) => existsSync(join(ROOT, room)));
  const command = ["--input-type=module", "--eval", LINT, JSON.stringify(rooms)];
  const found = JSON.parse(execFileSync(process.execPath, command, { cwd: ROOT, encoding: "utf8" })) as string[][];
  expect(rooms.map(([room], index) => [room, found[index]])).toEqual(
    rooms.map(([room]) => [room, ["no-restricted-imports"]]),
  );
});

/** The files that a file imports by a relative path. */
function imports(file: string, files: ReadonlySet<string>): readonly string[] {
  const paths = [
    ...readFileSync(join(ROOT, file), "utf8").matchAll(/\bfrom "(\.{1,2}\/[^".]+|\.{1,2}\/[^"]+)(?:\.ts)?"/g),
  ];
  return paths.map(([, path = ""]) => `${join(dirname(file), path)}.ts`).filter((path) => files.has(path));
}

test("no file imports itself, directly or through others", () => {
  const files = new Set(projectFiles().filter((file) => file.endsWith(".ts")));
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (path.includes(file) || done.has(file)) return;
    for (const next of imports(file, files)) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});
