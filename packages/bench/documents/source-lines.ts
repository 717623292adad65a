import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const PARTS: readonly (readonly [title: string, isPart: (file: string) => boolean])[] = [
  ["what a fork edits: `main.ts` and `function/`", (file) => /^(main\.ts|function\/)/.test(file)],
  [
    "a fork without `packages/lab` and `packages/bench`, without the libraries: root, `function`, `modules`, `__tests__`, `scripts`",
    (file) => !file.startsWith("packages/"),
  ],
  ["`modules/`, without tests", (file) => file.startsWith("modules/") && !isTest(file)],
  ["`packages/shutdown`, without tests", (file) => file.startsWith("packages/shutdown/") && !isTest(file)],
  ["`packages/mysql`, without tests", (file) => file.startsWith("packages/mysql/") && !isTest(file)],
  ["`packages/lab`, without tests", (file) => file.startsWith("packages/lab/") && !isTest(file)],
  ["the whole repository, with tests", () => true],
];

function isTest(file: string): boolean {
  return /\.test\.ts$|\/__tests__\/|\/fake-|^__tests__\//.test(file);
}

/** Lines of TypeScript and JavaScript that git knows, part by part. */
export function linesTable(): string {
  const list = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { encoding: "utf8" });
  const files = list.split("\n").filter((file) => /\.[cm]?[jt]s$/.test(file));
  const lines = new Map(files.map((file) => [file, readFileSync(file, "utf8").split("\n").length - 1] as const));
  const rows = PARTS.map(([title, isPart]) => {
    const sum = files.filter(isPart).reduce((total, file) => total + (lines.get(file) ?? 0), 0);
    return `| ${title} | ${sum.toLocaleString("en")} |`;
  });
  return ["| part | lines |", "| --- | ---: |", ...rows].join("\n");
}
