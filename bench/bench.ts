/** `npm run bench`: every figure that README and documents give, side by side in one run. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import ora from "ora";
import { stageFaultFunction } from "../__tests__/e2e/fault-function/stage";
import { startDatabaseServer } from "../lab/database-server";
import { playFaults, playsOf } from "../lab/faults/play-faults";
import type { FaultResult } from "../lab/faults/run-fault";
import { lambdaRuntime } from "../lab/lambda-runtime";
import { synth } from "../lab/synth";
import { synthesizedFunction } from "../lab/synthesized-function";
import { codeSize, type CodeSize } from "./code-size";
import { contestants } from "./contestants";
import { distribution } from "./distribution";
import { lives, type Lives } from "./lives";
import { RIVALS } from "./rivals/rivals";
import { synthesis, type Synthesis } from "./synthesis";
import { warm, type Warm } from "./warm";

const SYNTH_RUNS = 5;

const command = new Command("npm run bench --")
  .description("Measures this function beside the article's way, other people's ways, and a floor that only leaves.")
  .option("-n, --environments <number>", "execution environments of each", positive, 50)
  .option("-w, --invocations <number>", "warm invocations of each", positive, 2_000)
  .option("--json", "print the figures as JSON, and nothing else, on standard output");

interface Figures {
  readonly machine: string;
  readonly runtime: string;
  readonly database: string;
  readonly lives: readonly Lives[];
  readonly warm: readonly Warm[];
  readonly sizes: readonly CodeSize[];
  readonly synthesis: Synthesis;
  readonly faults: readonly FaultResult[];
}

function positive(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError("expected a whole number from 1 on.");
  return number;
}

async function measure(environments: number, invocations: number): Promise<Figures> {
  const progress = ora({ stream: process.stderr }).start("synthesizing");
  const cache = join(__dirname, "..", "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, "bench-")); // below the root, where packages that are not bundled are found
  const synthesized = synthesizedFunction(await synth());
  const runtime = lambdaRuntime(synthesized.runtime);
  const database = await startDatabaseServer();
  try {
    const ways = contestants(synthesized, scratch);
    const { ours, article, bare } = ways;
    const measured = await lives(Object.values(ways), environments, runtime, database, (message) => {
      progress.text = message;
    });
    progress.text = "warm invocations";
    const warmed = await warm([ours, bare], invocations, runtime, database);
    progress.text = "faults, for minutes";
    const played = await faults(scratch);
    progress.text = "synthesizing";
    return {
      faults: played,
      machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, Node.js ${process.version} for the lab`,
      runtime: runtime.description,
      database: database.description,
      lives: measured,
      warm: warmed,
      sizes: [
        codeSize(ours.name, synthesized.directory, (file) => !file.endsWith(".map")),
        codeSize(article.name, article.lambdaFunction.directory, () => true),
      ],
      synthesis: synthesis(SYNTH_RUNS),
    };
  } finally {
    progress.stop();
    await database.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The fault table, played to this function and to its rivals, with an external extension. */
async function faults(scratch: string): Promise<readonly FaultResult[]> {
  const directory = join(scratch, "faults");
  await stageFaultFunction(directory);
  const ours = { name: "this function", directory, handler: "index.handler", logsShutdown: true };
  const plays = [ours, ...RIVALS].flatMap((faulted) => playsOf(faulted, ["external"]));
  const { results, close } = await playFaults(plays, scratch);
  try {
    return await Promise.all(results);
  } finally {
    await close();
  }
}

function print(figures: Figures): void {
  const all = figures.lives;
  const named = (part: string): Lives | undefined => all.find(({ way }) => way.includes(part));
  const table = (title: string, head: readonly string[], rows: readonly (readonly (string | number)[])[]): void => {
    const drawn = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
    for (const row of rows) drawn.push([...row]);
    console.log(`\n${title}\n${drawn.toString()}`);
  };
  const ratio = (a: number, b = NaN): string => (a / b).toFixed(2);
  console.log(`${figures.machine}\n${figures.runtime}\n${figures.database}`);
  table(
    "Shutdown: first signal → the runtime's process gone, one idle connection (milliseconds)",
    ["", "p50", "p99", "max", "p50 ÷ floor", "ended by"],
    all.map(({ way, gone, endings }) => [
      way,
      gone.p50.toFixed(1),
      gone.p99.toFixed(1),
      gone.max.toFixed(1),
      ratio(gone.p50, named("floor")?.gone.p50),
      Object.entries(endings)
        .map(([ending, times]) => `${ending} ${times}×`)
        .join(", "),
    ]),
  );
  table(
    "What the server saw, all environments together",
    ["", "environments", "clean", "aborted", "leaked", "Aborted_clients"],
    all.map((f) => [f.way, f.gone.count, f.clean, f.aborted, f.leaked, `+${f.abortedClients}`]),
  );
  table(
    "Init: the runtime's process started → its first /next (milliseconds)",
    ["", "p50", "p99", "p50 ÷ the article's", "p50 − mysql2 alone"],
    all.map(({ way, init }) => [
      way,
      init.p50.toFixed(1),
      init.p99.toFixed(1),
      ratio(init.p50, named("article")?.init.p50),
      (init.p50 - (named("mysql2 alone")?.init.p50 ?? NaN)).toFixed(1),
    ]),
  );
  table(
    "Warm invocation, as its caller sees it (milliseconds)",
    ["", "invocations", "p50", "p99", "p50 ÷ mysql2 alone"],
    figures.warm.map(({ way, invocation: { count, p50, p99 } }) => [
      ...[way, count, p50.toFixed(3), p99.toFixed(3)],
      (p50 / (figures.warm.at(-1)?.invocation.p50 ?? NaN)).toFixed(3),
    ]),
  );
  table(
    "Deployed code",
    ["", "files", "bytes", "zip, bytes"],
    figures.sizes.map(({ way, files, bytes, zipBytes }) => [way, files, bytes, zipBytes]),
  );
  const rivals = [...new Set(figures.faults.map((result) => result.function))];
  const played = (fault: string, name: string): string => {
    const result = figures.faults.find((each) => each.fault === fault && each.function === name);
    return result?.problems.map(short).join(", ") || "ok";
  };
  const rows = [...new Set(figures.faults.map(({ fault }) => fault))];
  table(
    "Faults: what was wrong afterwards (docs/faults.md has what happens in each)",
    ["", ...rivals],
    [
      ...rows.map((fault) => [fault, ...rivals.map((name) => played(fault, name))]),
      ["rows without a problem", ...rivals.map((name) => rows.filter((fault) => played(fault, name) === "ok").length)],
    ],
  );
  const { cold, warm: runs } = figures.synthesis;
  const { p50, min, max } = distribution(runs);
  const again = `${p50.toFixed(2)} s (p50 of ${runs.length}, ${min.toFixed(2)}–${max.toFixed(2)})`;
  console.log(`\nSynthesis, CPU of the CDKTF app: ${again}, after a change of the function ${cold.toFixed(2)} s`);
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

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

command.parse();
const options = command.opts<{ environments: number; invocations: number; json?: boolean }>();
measure(options.environments, options.invocations).then(
  (figures) => {
    if (options.json === true) console.log(JSON.stringify(figures, undefined, 2));
    else print(figures);
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
