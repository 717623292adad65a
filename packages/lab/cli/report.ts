import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { fromInvocationDirectory } from "./invocation-directory";
import { reportData, type ReportData } from "../report/report-data";
import { STORM_DEFAULTS } from "../runs/storm";
import { MAX_ENVIRONMENTS } from "../runs/storm-room";
import { checked, UsageError } from "./usage-error";
import { wholeNumber } from "./whole-number";
import { authOption, VARIABLES_HELP, withFunctionOptions, type HandlerOptions } from "./handler-options";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";

interface ReportOptions extends HandlerOptions {
  readonly out: string;
  readonly svg?: string;
  readonly data?: string;
  readonly environments: number;
  readonly seed: number;
  readonly seconds: number;
  readonly faults: boolean;
}

const OF_THE_MEASUREMENT = [
  ...(["environments", "seed", "seconds", "faults", "event", "slowEvent"] as const),
  ...(["handler", "entry", "name", "runtime", "image", "extension", "auth", "env"] as const),
] as const;

const HELP = `
Examples:
  $ npx lambda-shutdown-lab report
  $ npx lambda-shutdown-lab report --environments 20 --seconds 5 --no-faults --out quick.html
  $ npx lambda-shutdown-lab report --handler ./theirs --environments 20
  $ npx lambda-shutdown-lab report --json > data.json      measure once,
  $ npx lambda-shutdown-lab report --data data.json           draw again and again
  $ npx lambda-shutdown-lab report --svg docs/figures --json > docs/figures/measured.json      what the README shows
${VARIABLES_HELP}${EXIT_CODES}`;

export function reportCommand(): Command {
  return withFunctionOptions(
    new Command("report")
      .summary("all of it in one HTML file")
      .description(
        "Measures what cdktf synth wrote, or a handler of yours, beside the article's way and no extension: five runs of " +
          "each, a storm of each, and the fault table. Draws it all as one HTML file that needs no network, and on request " +
          "as SVGs.",
      ),
    ["external", "internal"],
  )
    .addOption(authOption())
    .option("--out <file>", "the page to write", "report.html")
    .option("--svg <directory>", "write the charts there as well: timeline.svg, storm.svg, shutdown.svg, faults.svg")
    .option("--data <file>", "measure nothing, draw what an earlier report --json printed")
    .option(
      "--environments <number>",
      "how many are alive at once in the storm",
      wholeNumber(1, MAX_ENVIRONMENTS),
      STORM_DEFAULTS.environments,
    )
    .option("--seconds <number>", "how many seconds the storm lasts", wholeNumber(1, 3_600), STORM_DEFAULTS.seconds)
    .option("--seed <number>", "seed of the storm's random choices", wholeNumber(0, 2 ** 31 - 1), STORM_DEFAULTS.seed)
    .option("--no-faults", "leave the fault table out, which takes minutes and a mariadbd of its own")
    .option("--json", "print the data on standard output, and write no file that was not asked for")
    .addHelpText("after", HELP)
    .action(drawReport);
}

async function drawReport(options: ReportOptions, command: Command): Promise<void> {
  const isGiven = (option: keyof ReportOptions): boolean => command.getOptionValueSource(option) === "cli";
  const writesPage = options.json !== true || isGiven("out");
  if (writesPage) mustBeWritable(`--out ${options.out}`, options.out);
  if (options.svg !== undefined) mustBeWritable(`--svg ${options.svg}`, join(options.svg, "timeline.svg"));
  const data = options.data === undefined ? await measured(options) : read(options.data, isGiven);
  // Plot takes half a second to load. Help must not wait for it.
  const { figuresOf } = await import("../report/figures");
  const { standaloneSvg } = await import("../report/figure");
  const { page } = await import("../report/page");
  const { reportVerdict } = await import("../report/verdict");
  const written: string[] = [];
  const write = (path: string, content: string): void => {
    writeFileSync(fromInvocationDirectory(path), content);
    written.push(path);
  };
  if (writesPage) write(options.out, page(data));
  if (options.svg !== undefined) {
    for (const figure of figuresOf(data)) write(join(options.svg, `${figure.name}.svg`), standaloneSvg(figure));
  }
  const verdict = reportVerdict(data);
  const { clean, kind, sentence, headline, facts } = verdict;
  if (options.json === true) console.log(JSON.stringify({ clean, verdict: kind, sentence, ...data }));
  else console.log([headline, ...facts, `written: ${written.join(", ")}`].join("\n"));
  process.exitCode = exitCodeOf(verdict);
}

/** Measuring takes minutes, so the command first checks that it can write the file. */
function mustBeWritable(option: string, path: string): void {
  const file = fromInvocationDirectory(path);
  checked(() => {
    mkdirSync(dirname(file), { recursive: true });
    if (existsSync(file) && statSync(file).isDirectory()) throw new Error("it is a directory");
    accessSync(existsSync(file) ? file : dirname(file), constants.W_OK);
  }, `${option}: `);
}

async function measured(options: ReportOptions): Promise<ReportData> {
  const { inCommandContext } = await import("./command-context");
  const { measurement } = await import("./measurement");
  return inCommandContext((context) => measurement(context, options));
}

function read(file: string, isGiven: (option: keyof ReportOptions) => boolean): ReportData {
  const inVain = OF_THE_MEASUREMENT.filter(isGiven).map((option) =>
    option === "faults" ? "--no-faults" : `--${option === "slowEvent" ? "slow-event" : option}`,
  );
  if (inVain.length > 0) throw new UsageError(`${inVain.join(", ")}: no effect with --data, which measures nothing`);
  const text = checked(() => readFileSync(fromInvocationDirectory(file), "utf8"), `--data ${file}: `);
  return checked(() => reportData(text, file), "--data ");
}
