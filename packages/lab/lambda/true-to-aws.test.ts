/** The page that tells where each rule of the lab comes from may not name a test or a source that does not exist. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const PAGE = readFileSync(join(__dirname, "..", "true-to-aws.md"), "utf8");
const SOURCES = new Map([...PAGE.matchAll(/^\[([^\]]+)\]: (https:\S+)$/gm)].map(([, name, url]) => [name, url]));

const PHASES = ["Init", "Invoke", "Shutdown", "Managed Instances", "Web Functions"];

interface Rule {
  readonly phase: string;
  readonly rule: string;
  readonly from: string;
  readonly tests: string;
}

function rules(): Rule[] {
  return PHASES.flatMap((phase) => {
    const section = new RegExp(`^## ${phase}\n(.*?)(?=^## |^<!-- )`, "ms").exec(PAGE)?.[1] ?? "";
    const [, , ...rows] = section.split("\n").filter((line) => line.startsWith("|"));
    return rows.map((row) => {
      const [, rule = "", from = "", tests = "", ...more] = row.split("|").map((cell) => cell.trim());
      if (more.join("") !== "") throw new Error(`a row has more than three columns: ${row}`);
      return { phase, rule, from, tests };
    });
  });
}

/** A file, and the title of a test in it: all of it, or as much of its beginning as no other title has. */
function isTest(reference: string): boolean {
  const [, file = "", name = ""] = /^`([\w/-]+)` (.+)$/.exec(reference) ?? [];
  const path = join(__dirname, "..", `${file}.test.ts`);
  if (file === "" || !existsSync(path)) return false;
  const titles = [...readFileSync(path, "utf8").matchAll(/\(\s*(["'`])(.+?)\1,/g)].map(([, , title = ""]) => title);
  return name.endsWith(" …")
    ? titles.filter((title) => title.startsWith(name.slice(0, -2))).length === 1
    : titles.includes(name);
}

test("each phase has its rules", () => {
  for (const phase of PHASES) expect(rules().map((rule) => rule.phase)).toContain(phase);
});

test.each(rules())("$phase: $rule", ({ from, tests }) => {
  const named = [...from.matchAll(/\[([^\]]+)\]/g)].map(([, name]) => name);
  expect(named).not.toEqual([]);
  expect(named.filter((name) => !SOURCES.has(name))).toEqual([]);
  expect(tests.split("<br>").filter((reference) => !isTest(reference))).toEqual([]);
});

test("a source that no rule names is not listed", () => {
  const from = rules()
    .map((rule) => rule.from)
    .join();
  expect([...SOURCES.keys()].filter((name) => !from.includes(`[${name ?? ""}]`))).toEqual([]);
});
