import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import colors from "picocolors";
import { samplingCost, type SamplingCost } from "../mysql/connection-samples";
import { MAX_ENVIRONMENTS, MAX_SECONDS, storm, STORM_DEFAULTS, type StormResult } from "../scenarios/storm";
import { stormTable, stormVerdict } from "../scenarios/storm-table";
import type { SynthesizedFunction } from "../subjects/synthesized-function";
import { articleSubject, noExtension, thisFunction, type Subject } from "../subjects/subject";
import { inCommandContext } from "./command-context";
import { event } from "./events";
import { EXIT_CODES, eventsOf } from "./handler-options";

const MAX_SEED = 999_999;

const SUBJECTS = {
  ours: (synthesized: SynthesizedFunction) => thisFunction(synthesized),
  article: (synthesized: SynthesizedFunction, scratch: string) => articleSubject(synthesized, join(scratch, "article")),
  none: (synthesized: SynthesizedFunction) => noExtension(synthesized),
} satisfies Record<string, (synthesized: SynthesizedFunction, scratch: string) => Subject>;

interface StormOptions {
  readonly environments: number;
  readonly seconds: number;
  readonly seed: number;
  readonly subject: keyof typeof SUBJECTS | "all";
  readonly event?: unknown;
  readonly slowEvent?: unknown;
  readonly json?: boolean;
}

export function stormCommand(): Command {
  return new Command("storm")
    .description(
      "Many execution environments at once: they scale up under load, are invoked, frozen and thawed, time out, are\n" +
        "reclaimed busy, idle and frozen, and new ones come in their place, while the server's connections are sampled.",
    )
    .option(
      "--environments <n>",
      `how many are alive at once, 1 to ${MAX_ENVIRONMENTS}`,
      whole(1, MAX_ENVIRONMENTS),
      STORM_DEFAULTS.environments,
    )
    .option("--seconds <n>", "how long it goes on once all are up", whole(1, MAX_SECONDS), STORM_DEFAULTS.seconds)
    .option(
      "--seed <n>",
      "the same happens to the same environments again (default: another one each time)",
      whole(0, MAX_SEED),
    )
    .addOption(new Option("--subject <way>", "whose").choices([...Object.keys(SUBJECTS), "all"]).default("all"))
    .option(
      "--event <json>",
      "an event for which the function runs a statement (default: the project's, else {})",
      event,
    )
    .option("--slow-event <json>", "one whose statement takes 30 seconds (default: the project's)", event)
    .option("--json", "print the results as JSON, and nothing else, on standard output")
    .addHelpText(
      "after",
      `
Each environment takes 20 MB of memory and 0.2 s of CPU to start; what does not fit is said before anything starts.
Init and Shutdown are bounded by the number of cores: 300 ms are real time, and a crowd would measure itself.

Examples:
  $ npx lambda-shutdown-lab storm --subject ours --environments 200
  $ npx lambda-shutdown-lab storm --seed 42 --json > storm.json

The exit code is the verdict on this function, or on the one way that was asked for.
${EXIT_CODES}`,
    )
    .action(async (options: Omit<StormOptions, "seed"> & { readonly seed?: number }) => {
      const isClean = await play({ ...options, seed: options.seed ?? Date.now() % (MAX_SEED + 1) });
      process.exitCode = isClean ? 0 : 1;
    });
}

async function play(options: StormOptions): Promise<boolean> {
  return inCommandContext(async (context) => {
    const { environments, seconds, seed, subject, json } = options;
    const events = eventsOf(options, context.project.events);
    const synthesized = await context.synthesized();
    const runtime = await context.runtime(synthesized.runtime);
    const database = await context.database();
    context.say(`seed         ${seed}`);
    const names = subject === "all" ? (Object.keys(SUBJECTS) as (keyof typeof SUBJECTS)[]) : [subject];
    const results: StormResult[] = [];
    for (const name of names) {
      const config = {
        subject: SUBJECTS[name](synthesized, context.scratch),
        ...{ runtime, database, environments, seed, seconds, events },
      };
      results.push(
        await context.step(
          `storm        ${config.subject.name}: ${environments} environments, scale-up and ${seconds} s`,
          (onProgress) => storm({ ...config, onProgress }),
          (result) => `storm        ${stormVerdict(result).sentence}`,
        ),
      );
    }
    const cost = await context.step(
      "measuring what sampling costs the server",
      () => samplingCost(database, environments),
      describeCost,
    );
    const { clean, sentence } = stormVerdict(results[0]);
    if (json === true) console.log(JSON.stringify({ clean, seed, results, sampling: cost }, undefined, 2));
    else
      console.log(`\n${stormTable(results)}\n\n${clean ? colors.green(`✓ ${sentence}`) : colors.red(`✗ ${sentence}`)}`);
    return clean;
  });
}

function describeCost({ connections, statementMs, serverCpuMs }: SamplingCost): string {
  const both = ({ without, sampled }: SamplingCost["statementMs"], digits: number, unit: string): string =>
    `${sampled.toFixed(digits)} ${unit} (without: ${without.toFixed(digits)})`;
  return `sampling     ${connections} connections: a statement takes ${both(statementMs, 2, "ms")}, the server ${both(serverCpuMs, 0, "ms of CPU a second")}`;
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Allowed are whole numbers from ${least} to ${most}.`);
  };
}
