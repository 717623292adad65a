/** What README and documents say was measured is what the committed result of `npm run bench -- --json` says. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { projectFiles } from "./project/files";
import path from "node:path";
import { claimsOf, holds } from "./claims";
import { coldRatio } from "./cold-start";
import type { Figures } from "./figures";
import { apart, difference, ratio, type Lifecycles } from "./lifecycles";
import { summary } from "./summary";

const ROOT = path.join(__dirname, "../..");

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), "utf8");
}

const figures = JSON.parse(read("bench/reference.json")) as Figures;

/** The rows of the README's table that begins with "this function". */
function readmeTable(): string[][] {
  const lines = read("README.md").split("\n");
  const head = lines.findIndex((line) => /^\|\s*\| this function /.test(line));
  const end = lines.findIndex((line, index) => index > head && !line.startsWith("|"));
  return lines
    .slice(head, end)
    .filter((line) => !line.startsWith("| ---"))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

test("the README's table is the reference result's", () => {
  expect(readmeTable()).toEqual(summary(figures));
  expect(read("README.md")).toContain(`printed on ${figures.date}`);
});

test("the README says which claims the reference result does not keep, and no other", () => {
  const broken = claimsOf(figures)
    .filter((claim) => !holds(claim, figures))
    .map(({ text }) => text);
  const said = /Not kept on that day: (.*?)\.\s/s.exec(read("README.md"))?.[1] ?? "";
  const labels: Record<string, string> = {
    "… p50 ÷ the same code that only leaves": "leaving within 1.35 × the same code that only leaves",
    "… ÷ a handler as AWS's documentation has it, p50": "a first answer within 0.5 × that of AWS's documentation",
    "Init with password ÷ an empty handler's, p50": "Init within 1.75 × an empty handler's",
    "… after a change of the function, p50": "a synthesis after a change of the function within 2 s of CPU",
  };
  expect(said.replaceAll(/\s+/g, " ")).toBe(broken.map((text) => labels[text] ?? text).join(", and "));
});

test("how much longer the function takes to leave than nothing at all is the reference result's", () => {
  const { floor, ours, bare } = figures.lifecycles;
  const times = (subject: Lifecycles): string => apart("gone", subject, floor, ratio).toFixed(1);
  const text = read("README.md").replaceAll(/\s+/g, " ");
  expect(text).toContain(
    `only leaves took ${floor.gone.p50.toFixed(1)} ms; this function takes ${times(ours)} times that, ` +
      `mysql2 that is killed without any clean-up ${times(bare)} times`,
  );
});

test("the cold start at Lambda's shares of a CPU is the reference result's", () => {
  const shares = figures.coldStarts?.shares ?? [];
  const ratios = shares.map(({ secretTls, awsDocs }) => coldRatio("answered", secretTls, awsDocs).toFixed(2)).sort();
  const sizes = shares.map(({ memoryMb }) => memoryMb);
  const text = read("README.md").replaceAll(/\s+/g, " ");
  expect(text).toContain(
    `at ${Math.min(...sizes)} to ${Math.max(...sizes)} MB, it is ${ratios[0] ?? ""} to ${ratios.at(-1) ?? ""}.`,
  );
});

test("how much of the earlier build's cold start is left is the reference result's", () => {
  const { secretTls, earlier } = figures.coldStarts?.whole ?? {};
  const left = secretTls && earlier ? coldRatio("answered", secretTls, earlier).toFixed(2) : "not measured";
  expect(read("README.md")).toContain(`The first answer takes ${left} of the time of commit `);
});

test("the cost of the internal extension is the reference result's", () => {
  const { internal, noExtension } = figures.lifecycles;
  const text = read("docs/shutdown-extension.md").replaceAll(/\s+/g, " ");
  expect(text).toContain(`printed on ${figures.date}: ${internal.init.p50.toFixed(1)} ms to the first`);
  expect(text).toContain(`against ${noExtension.init.p50.toFixed(1)} ms`);
  const apartMs = Math.round(apart("init", internal, noExtension, difference));
  expect(text).toContain(`The ${apartMs} ms are`);
  expect(text).toContain(`| ${apartMs} ms of Init |`);
});

test("the charts are drawn from what was measured", () => {
  const drawn = mkdtempSync(path.join(tmpdir(), "charts-"));
  try {
    const data = path.join(ROOT, "docs/figures/measured.json");
    const options = ["report", "--data", data, "--svg", drawn, "--out", path.join(drawn, "page.html")];
    execFileSync(process.execPath, ["--import", "tsx", "packages/lab/cli/lab.ts", ...options], { cwd: ROOT });
    const charts = readdirSync(path.join(ROOT, "docs/figures")).filter((file) => file.endsWith(".svg"));
    expect(charts).toContain("storm.svg");
    for (const chart of charts) {
      expect(read(`docs/figures/${chart}`)).toBe(readFileSync(path.join(drawn, chart), "utf8"));
    }
  } finally {
    rmSync(drawn, { recursive: true, force: true });
  }
});

test("CONTRIBUTING.md knows the rooms and their size", () => {
  const rows = [
    ...readFileSync(path.join(ROOT, "CONTRIBUTING.md"), "utf8").matchAll(/^\| `([\w./]+)`.*\| +([\d,]+) \|$/gm),
  ];
  const lines = (room: string): number =>
    projectFiles()
      .filter((file) => file.startsWith(room) && /\.(ts|mjs|cjs|js)$/.test(file) && !file.endsWith(".test.ts"))
      .reduce((sum, file) => sum + readFileSync(path.join(ROOT, file), "utf8").split("\n").length - 1, 0);
  const folders = new Set(projectFiles().flatMap((file) => /^(lab\/)?[\w-]+\/(?=.*\.ts$)/.exec(file)?.[0] ?? []));
  expect(rows.map(([, room]) => room)).toEqual(expect.arrayContaining([...folders].filter((each) => each !== "lab/")));
  for (const [, room = "", told = ""] of rows) {
    const share = Number(told.replace(",", "")) / lines(room);
    expect({ room, isRight: share > 0.8 && share < 1.2 }).toEqual({ room, isRight: true });
  }
});
