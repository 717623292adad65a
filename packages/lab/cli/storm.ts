import { Command, Option } from "commander";
import { samplingCost, type SamplingCost } from "../mysql/connection-samples";
import { InitError } from "../lambda/execution-environment";
import type { LambdaError } from "../lambda/runtime-api";
import { storm, STORM_DEFAULTS, type StormConfig, type StormResult } from "../runs/storm";
import { MAX_ENVIRONMENTS, MAX_SECONDS } from "../runs/storm-room";
import { stormTable, stormVerdict } from "../runs/storm-table";
import { failureAdvice } from "../runs/input-advice";
import { verdictOf, type Verdict } from "../runs/verdict";
import type { Subject } from "../functions/subject";
import { inCommandContext, type CommandContext } from "./command-context";
import { showResult } from "./result-output";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";
import { wholeNumber } from "./whole-number";
import { UsageError } from "./usage-error";
import { checkWeb, stormWebFunctions, withWebOptions, type WebOptions } from "./web";
import {
  authOption,
  besideOthers,
  checkEntry,
  chosen,
  VARIABLES_HELP,
  withHandlerOptions,
  type Chosen,
} from "./handler-options";

const MAX_SEED = 999_999;

/** Whose storm it is: the function itself (the handler of --handler, or what was synthesized), or what stands beside it. */
const SUBJECTS = ["ours", "article", "none", "all"] as const;

interface StormOptions extends WebOptions {
  readonly environments: number;
  readonly seconds: number;
  readonly seed: number;
  readonly subject: (typeof SUBJECTS)[number];
}

const HELP = `
Each environment takes 20 MB of memory and 0.2 s of CPU to start, log-in included; what does not fit is said before anything starts.
Init and Shutdown are bounded by the number of cores: 300 ms are real time, and a crowd would measure itself.

Examples:
  $ npx lambda-shutdown-lab storm --subject ours --environments 200
  $ npx lambda-shutdown-lab storm --handler ./theirs --subject ours --environments 20
  $ npx lambda-shutdown-lab storm --seed 42 --json > storm.json
  $ npx lambda-shutdown-lab storm --handler ./server --web --environments 20     all at once; --seconds and --seed do not matter

The exit code is the verdict on this function or your handler, or on the one way that was asked for.
${VARIABLES_HELP}${EXIT_CODES}`;

export function stormCommand(): Command {
  const command = withWebOptions(
    new Command("storm")
      .summary("many execution environments at once, while the server's connections are sampled")
      .description(
        "Many execution environments at once: they scale up under load, are invoked, frozen and thawed, time out, are " +
          "reclaimed busy, idle and frozen, and new ones come in their place, while the server's connections are sampled.",
      ),
    withHandlerOptions,
  );
  return command
    .addOption(authOption())
    .option(
      "--environments <n>",
      `how many are alive at once, 1 to ${MAX_ENVIRONMENTS}`,
      wholeNumber(1, MAX_ENVIRONMENTS),
      STORM_DEFAULTS.environments,
    )
    .option("--seconds <n>", "how long it goes on once all are up", wholeNumber(1, MAX_SECONDS), STORM_DEFAULTS.seconds)
    .option(
      "--seed <n>",
      "the same happens to the same environments again (default: another one each time)",
      wholeNumber(0, MAX_SEED),
    )
    .addOption(
      new Option("--subject <way>", "whose; ours is the handler of --handler, or this function")
        .choices(SUBJECTS)
        .default("all"),
    )
    .addHelpText("after", HELP)
    .action(async (options: Omit<StormOptions, "seed"> & { readonly seed?: number }) => {
      const verdict = await play({ ...options, seed: options.seed ?? Date.now() % (MAX_SEED + 1) });
      process.exitCode = exitCodeOf(verdict);
    });
}

async function play(options: StormOptions): Promise<Verdict> {
  return inCommandContext(async (context) => {
    checkWeb(options);
    if (options.web === true && options.subject !== "all") throw new UsageError("--web cannot be used with --subject");
    return options.web === true ? stormWebFunctions(context, options) : stormAndShow(context, options);
  });
}

async function stormAndShow(context: CommandContext, options: StormOptions): Promise<Verdict> {
  const { environments, seconds, seed } = options;
  const first = await chosen(context, options);
  const runtime = await context.runtime(first.runtime, options.image);
  const database = await context.database();
  context.say(`seed         ${seed}`);
  const found: Stormed[] = [];
  for (const subject of await subjectsOf(context, first, options.subject)) {
    const config = { subject, runtime, database, environments, seed, seconds, events: first.events };
    found.push(
      await context.step(
        `storm        ${subject.name}: ${environments} environments, scale-up and ${seconds} s`,
        (onProgress) => stormOrInitError({ ...config, onProgress }),
        ({ verdict }) => `storm        ${verdict.sentence}`,
      ),
    );
  }
  const [asked] = found;
  if (asked === undefined) throw new Error("no storm was asked for");
  checkEntry(options, asked.initError);
  const measure = (): Promise<SamplingCost> => samplingCost(database, environments);
  const sampling = await context.step("measuring what sampling costs the server", measure, describeCost);
  const results = found.flatMap(({ result }) => result ?? []);
  const common = { command: "storm", subject: first.subject.name, verdict: asked.verdict };
  return showResult(
    {
      ...common,
      change: adviceOn(asked, Object.keys(options.env)),
      details: { extensionIsAssumed: first.extensionIsAssumed, seed, results, sampling },
      text: `\n${results.length === 0 ? "" : `${stormTable(results)}\n\n`}`,
      notes: [`seed ${seed}: --seed ${seed} repeats it`],
    },
    options,
  );
}

function adviceOn({ verdict, result }: Stormed, given: readonly string[]): string | undefined {
  const { firstError } = result?.invocations ?? {};
  if (firstError !== undefined && verdict.kind === "could not be invoked") {
    return failureAdvice(`${firstError.errorType}: ${firstError.errorMessage}`, given);
  }
  return verdict.kind === "not clean"
    ? "Use the run command with the same --handler, which says what to change."
    : undefined;
}

interface Stormed {
  readonly verdict: Verdict;
  /** @default - Init failed */
  readonly result?: StormResult;
  readonly initError?: LambdaError;
}

/** A function whose Init fails makes no storm, and that is its verdict. */
async function stormOrInitError(config: StormConfig): Promise<Stormed> {
  try {
    const result = await storm(config);
    return { result, verdict: stormVerdict(result) };
  } catch (error) {
    if (!(error instanceof InitError)) throw error;
    const { subject } = config;
    const connections = { opened: 0, closed: 0, aborted: 0, leaked: 0 };
    const found = { subject: subject.name, initError: error.error, invocations: { ok: 0, failed: 0 }, connections };
    return { initError: error.error, verdict: verdictOf({ ...found, endings: {} }) };
  }
}

async function subjectsOf(
  context: CommandContext,
  first: Chosen,
  wanted: StormOptions["subject"],
): Promise<readonly Subject[]> {
  if (wanted === "ours") return [first.subject];
  const all = await besideOthers(context, first);
  if (wanted === "all") return all;
  return all.slice(wanted === "article" ? -2 : -1, wanted === "article" ? -1 : undefined);
}

function describeCost({ connections, statementMs, serverCpuMs }: SamplingCost): string {
  const both = ({ without, sampled }: SamplingCost["statementMs"], digits: number, unit: string): string =>
    `${sampled.toFixed(digits)} ${unit} (without: ${without.toFixed(digits)})`;
  const cpu =
    serverCpuMs === undefined
      ? "its server's CPU time cannot be counted"
      : `the server ${both(serverCpuMs, 0, "ms of CPU a second")}`;
  return `sampling     ${connections} connections: a statement takes ${both(statementMs, 2, "ms")}, ${cpu}`;
}
