/** `npm run bench`: every figure that README and documents give, side by side in one run. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { mean } from "simple-statistics";
import { inCommandContext } from "../lab/cli/command-context";
import { claimsOf, holds, type Claim } from "./claims";
import { coldRatio, SHARE_KEYS, type ColdStarts } from "./cold-start";
import { distribution } from "./distribution";
import { measure, type Effort, type Figures } from "./figures";
import { printLoads } from "./load";
import { apart, difference, ratio } from "./lifecycles";
import { markdown, summary } from "./summary";

const command = new Command("npm run bench --")
  .description("Measures this function beside the article's way, other people's ways, and a floor that only leaves.")
  .option("-n, --environments <number>", "execution environments of each", positive, 50)
  .option("-w, --invocations <number>", "warm invocations of each", positive, 2_000)
  .option(
    "--earlier <directory>",
    "also measure the cold start of an earlier build: its code, as cdktf synth wrote it below cdktf.out/stacks",
    codeDirectory,
  )
  .option("--load", "measure only how many callers on one pool fare, beside mysql2's pool, and print the ratios")
  .option("--from <file>", "measure nothing, print what an earlier run wrote, such as packages/bench/reference.json")
  .option("--markdown", "print the README's table, and nothing else, on standard output")
  .option("--json", "print the figures as JSON, and nothing else, on standard output")
  .addHelpText("after", "\nExit code: 0 if each claim was kept, 1 if not.");

interface Options extends Effort {
  readonly from?: string;
  readonly markdown?: true;
  readonly json?: true;
  readonly load?: true;
}

function positive(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError("expected a whole number from 1 on.");
  return number;
}

function codeDirectory(text: string): string {
  if (existsSync(join(text, "index.mjs"))) return resolve(text);
  throw new InvalidArgumentError("expected a directory with an index.mjs.");
}

function claimValue({ unit }: Claim, value: number): string {
  if (Number.isInteger(value)) return `${value.toLocaleString("en")} ${unit}`.trimEnd();
  return `${value.toFixed(unit === "ms" ? 1 : 2)} ${unit}`.trimEnd();
}

function print(figures: Figures): void {
  console.log(`${figures.date}\n${figures.machine}\n${figures.runtime}\n${figures.database}`);
  printLifecycles(figures);
  if (figures.coldStarts !== undefined) printColdStarts(figures.coldStarts);
  table(
    "Warm invocation, as its caller sees it (milliseconds)",
    ["", "invocations", "p50", "p99", "p50 ÷ mysql2 alone"],
    Object.values(figures.warm).map(({ subject, invocation: { count, p50, p99 } }) => [
      ...[subject, count, p50.toFixed(3), p99.toFixed(3)],
      (p50 / figures.warm.bare.invocation.p50).toFixed(3),
    ]),
  );
  table(
    "Deployed code",
    ["", "files", "bytes", "zip, bytes"],
    Object.entries(figures.code).map(([subject, { files, bytes, zipBytes }]) => [subject, files, bytes, zipBytes]),
  );
  printFaults(figures);
  table(
    "What the documents claim",
    ["", "measured", "wanted", ""],
    claimsOf(figures).map((claim) => [
      ...[claim.text, claimValue(claim, claim.value(figures))],
      `${claim.equal === true ? "" : "≤ "}${claimValue(claim, claim.limit(figures))}`,
      holds(claim, figures) ? "kept" : "not kept",
    ]),
  );
}

function table(title: string, head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const drawn = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) drawn.push([...row]);
  console.log(`\n${title}\n${drawn.toString()}`);
}

function printLifecycles({ lifecycles }: Figures): void {
  const { leaves, floor, article, bare, noExtension } = lifecycles;
  const all = Object.values(lifecycles);
  table(
    "Shutdown: first signal → the runtime's process gone, one idle connection (milliseconds; ÷ is the median of the rounds)",
    ["", "p50", "p99", "max", "÷ this function, leaving at once", "÷ an empty handler, leaving at once", "ended by"],
    all.map((each) => [
      ...[each.subject, ...[each.gone.p50, each.gone.p99, each.gone.max].map((ms) => ms.toFixed(1))],
      ...[leaves, floor].map((other) => apart("gone", each, other, ratio).toFixed(2)),
      Object.entries(each.endings)
        .map(([ending, times]) => `${ending} ${times}×`)
        .join(", "),
    ]),
  );
  table(
    "What the server saw, all environments together",
    ["", "environments", "closed", "aborted", "leaked", "Aborted_clients"],
    all.map((f) => [f.subject, f.gone.count, f.closed, f.aborted, f.leaked, `+${f.abortedClients}`]),
  );
  table(
    "Init: the runtime's process started → its first /next (milliseconds; ÷ and − are the medians of the rounds)",
    ["", "p50", "p99", "÷ the article's", "− mysql2 alone", "− no extension"],
    all.map((each) => [
      ...[each.subject, each.init.p50.toFixed(1), each.init.p99.toFixed(1)],
      apart("init", each, article, ratio).toFixed(2),
      ...[bare, noExtension].map((other) => apart("init", each, other, difference).toFixed(1)),
    ]),
  );
}

function printColdStarts({ whole, shares }: ColdStarts): void {
  const { floor, passwordTls, awsDocs, earlier } = whole;
  const beside = [passwordTls, awsDocs, ...(earlier ? [earlier] : [])];
  table(
    "Cold start: the runtime's process started → its first answer (milliseconds; ÷ are the medians of the rounds)",
    [
      ...["", "first /next, p50", "÷ an empty handler's", "first answer, p50", "p99"],
      ...["÷ own password and TLS", "÷ AWS's documentation", ...(earlier ? ["÷ the earlier build"] : [])],
      ...["CPU, mean", "bytes read"],
    ],
    Object.values(whole).map((each) => [
      ...[each.subject, distribution(each.ready).p50.toFixed(1), coldRatio("ready", each, floor).toFixed(2)],
      ...[distribution(each.answered).p50.toFixed(1), distribution(each.answered).p99.toFixed(1)],
      ...beside.map((other) => coldRatio("answered", each, other).toFixed(2)),
      ...[mean([...each.cpu]).toFixed(0), distribution(each.read).p50.toLocaleString("en")],
    ]),
  );
  if (shares.length > 0) printShares(whole, shares);
  else console.log("\nNot measured: a share of a CPU. This user may not make a control group (cgroup) with a quota.");
}

function printShares(whole: ColdStarts["whole"], shares: ColdStarts["shares"]): void {
  table(
    "First answer at the share of a CPU that Lambda gives to the memory: a cgroup's quota of it / 1,769 MB (milliseconds)",
    ["", ...["p50", "÷ AWS's"].flatMap((what) => shares.map(({ memoryMb }) => `${memoryMb} MB, ${what}`))],
    SHARE_KEYS.map((key) => [
      whole[key].subject,
      ...shares.map((share) => distribution(share[key].answered).p50.toFixed(0)),
      ...shares.map((share) => coldRatio("answered", share[key], share.awsDocs).toFixed(2)),
    ]),
  );
}

function printFaults({ faults }: Figures): void {
  const names = [...new Set(faults.map((result) => result.function))];
  const played = (fault: string, name: string): string => {
    const result = faults.find((each) => each.fault === fault && each.function === name);
    return result?.problems.map(short).join(", ") || "ok";
  };
  const rows = [...new Set(faults.map(({ fault }) => fault))];
  const score = (name: string): number => rows.filter((fault) => played(fault, name) === "ok").length;
  table(
    "Faults: what was wrong afterwards (docs/faults.md has what happens in each)",
    ["", ...names],
    [
      ...rows.map((fault) => [fault, ...names.map((name) => played(fault, name))]),
      ["rows without a problem", ...names.map(score)],
    ],
  );
}

/** A cell has room for a few words. */
function short(problem: string): string {
  if (problem.startsWith("end of the process")) return problem.includes("SIGKILL") ? "SIGKILL" : "late";
  if (problem.startsWith("the invocations")) return "invocation";
  return problem
    .replace(" left: ", " ")
    .replace("Aborted_clients: ", "aborted ")
    .replace("a lock is still held", "lock");
}

/** @throws Error if the file cannot be read or is not what `--json` prints. */
function readFigures(file: string): Figures {
  try {
    const figures = JSON.parse(readFileSync(file, "utf8")) as Figures;
    for (const claim of claimsOf(figures)) claim.value(figures);
    return figures;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const expected = 'must be a file that "npm run bench -- --json" wrote';
    throw new Error(`--from: "${file}" ${expected}: ${reason}`, { cause: error });
  }
}

async function main({ load, from, json, markdown: asMarkdown, ...effort }: Options): Promise<boolean> {
  if (load === true) {
    await printLoads();
    return true;
  }
  const measured = ({ date }: Figures): string => `measured on ${date}`;
  const figures =
    from === undefined
      ? await inCommandContext((context) =>
          context.step("measuring", (onProgress) => measure(effort, onProgress), measured),
        )
      : readFigures(from);
  if (json === true) console.log(JSON.stringify(figures, undefined, 2));
  else if (asMarkdown === true) console.log(markdown(summary(figures)));
  else print(figures);
  return claimsOf(figures).every((claim) => holds(claim, figures));
}

main(command.parse().opts<Options>()).then(
  (kept) => {
    process.exitCode = kept ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
