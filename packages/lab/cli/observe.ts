import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import colors from "picocolors";
import { quantileSorted } from "simple-statistics";
import { readFunctionLog } from "../observe/cloudwatch-logs";
import { environments, type Environment } from "../observe/environment-history";
import { inCommandContext } from "./command-context";
import { UsageError } from "./usage-error";

interface ObserveOptions {
  readonly function?: string;
  readonly logGroup?: string;
  readonly since: number;
  readonly silent: number;
  readonly region?: string;
  readonly json?: boolean;
}

/** What a script reads, and the table shows. */
interface Observation {
  readonly logGroup: string;
  readonly since: string;
  /** Environments whose Init is in the log. */
  readonly begun: number;
  readonly clean: number;
  readonly withProblem: number;
  readonly withoutLine: number;
  readonly notEnded: number;
  /** Milliseconds, as the lines say. */
  readonly durationMs: { readonly p50: number; readonly p99: number } | undefined;
  /** Each end that was not clean, with the command that shows it. */
  readonly notClean: readonly {
    readonly end: Environment["end"];
    readonly problems: readonly string[];
    readonly command: string;
  }[];
}

/** Commands in the table. `--json` has all of them. */
const SHOWN_COMMANDS = 10;

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export function observeCommand(): Command {
  return new Command("observe")
    .summary("what became of a deployed function's environments, from its log in CloudWatch")
    .description(
      "Reads the log of a deployed function: how many execution environments began, how many wrote their line at the " +
        "shutdown, and which ended without one. It changes nothing. It needs AWS credentials that allow " +
        "logs:FilterLogEvents and logs:DescribeLogStreams.",
    )
    .option("--function <name>", "the function; its log group is /aws/lambda/<name>")
    .option("--log-group <name>", "another log group, such as /aws/lambda/web/<name> of a Web Function")
    .option("--since <time>", "how far back to read: 30m, 24h, 7d", duration, duration("24h"))
    .option(
      "--silent <time>",
      "an environment that logged nothing for this long has ended; a younger one may be frozen",
      duration,
      duration("3h"),
    )
    .option("--region <region>", "the function's region (default: as AWS's SDK finds it)")
    .option("--json", "the result as JSON")
    .addHelpText(
      "after",
      `
Examples:
  $ npx lambda-shutdown-lab observe --function orders
  $ npx lambda-shutdown-lab observe --function orders --since 7d --json

To make environments end, change the function's configuration (such as its description) and invoke it again: Lambda
removes the old environments within minutes. Give the log some minutes more.

Exit code: 0 every environment that ended wrote a clean line, 1 some did not or an error, 2 wrong usage, 3 none has ended.`,
    )
    .action(async (options: ObserveOptions) => {
      const observation = await observe(options);
      console.log(options.json === true ? JSON.stringify(observation, undefined, 2) : text(observation));
      const { clean, notClean } = observation;
      process.exitCode = notClean.length > 0 ? 1 : clean > 0 ? 0 : 3;
    });
}

function duration(value: string): number {
  const [, count = "", unit = ""] = /^(\d{1,6})([mhd])$/.exec(value) ?? [];
  const milliseconds = Number(count) * (UNITS[unit] ?? 0);
  if (milliseconds > 0) return milliseconds;
  throw new InvalidArgumentError("Expected a number with a unit: 30m, 24h or 7d.");
}

async function observe(options: ObserveOptions): Promise<Observation> {
  const { function: name, since, silent, region } = options;
  const logGroup = options.logGroup ?? (name === undefined ? undefined : `/aws/lambda/${name}`);
  if (logGroup === undefined) throw new UsageError("no function is named (--function <name> or --log-group <name>)");
  const from = Date.now() - since;
  const query = { logGroup, since: from, region };
  const { events, lastEvents } = await inCommandContext((context) =>
    context.step(
      `reading      ${logGroup}`,
      (onProgress) =>
        readFunctionLog(query, (count) => {
          onProgress(`${count} events`);
        }).catch(explain(logGroup)),
      (log) => `read         ${logGroup}: ${log.events.length} events`,
    ),
  );
  const all = environments(events, lastEvents, Date.now() - silent);
  const count = (end: Environment["end"]): number => all.filter((each) => each.end === end).length;
  return {
    logGroup,
    since: new Date(from).toISOString(),
    begun: all.filter(({ beganAt }) => beganAt !== undefined).length,
    clean: count("clean line"),
    withProblem: count("line with a problem"),
    withoutLine: count("no line"),
    notEnded: count("not ended"),
    durationMs: durations(all),
    notClean: all
      .filter(({ end }) => end === "no line" || end === "line with a problem")
      .map(({ end, problems, stream, beganAt }) => ({
        end,
        problems,
        command: showCommand(logGroup, stream, beganAt),
      })),
  };
}

/** AWS's SDK says what is wrong, but not which option changes it. */
function explain(logGroup: string): (error: unknown) => never {
  return (error) => {
    const { name, message } = error as Error;
    const isMissing = name === "ResourceNotFoundException";
    const advice = isMissing ? "set --function, --log-group or --region" : "set credentials and a region for AWS's SDK";
    throw new Error(`${logGroup} cannot be read: ${name}: ${message} (${advice})`, { cause: error });
  };
}

function durations(all: readonly Environment[]): Observation["durationMs"] {
  const sorted = all.flatMap(({ durationMs }) => durationMs ?? []).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  return { p50: quantileSorted(sorted, 0.5), p99: quantileSorted(sorted, 0.99) };
}

function showCommand(logGroup: string, stream: string, beganAt: number | undefined): string {
  const start = beganAt === undefined ? "" : ` --start-time ${beganAt}`;
  return `aws logs get-log-events --log-group-name '${logGroup}' --log-stream-name '${stream}'${start}`;
}

function text({ begun, clean, withProblem, withoutLine, notEnded, durationMs, notClean }: Observation): string {
  const table = new Table({ style: { head: [], border: [] } });
  const spread = durationMs === undefined ? "–" : `${durationMs.p50.toFixed(1)} / ${durationMs.p99.toFixed(1)} ms`;
  table.push(
    ["environments that began", begun],
    ["ended with a clean line", clean],
    ["ended with a line that names a problem", withProblem],
    ["ended without a line", withoutLine],
    ["may still live", notEnded],
    ["shutdown, p50 / p99", spread],
  );
  const commands = notClean
    .slice(0, SHOWN_COMMANDS)
    .map(({ end, problems, command }) => `${colors.red("✗")} ${[end, ...problems].join(", ")}\n  ${command}`);
  const more = notClean.length - commands.length;
  return [table.toString(), ...commands, ...(more > 0 ? [`and ${more} more (--json shows each)`] : [])].join("\n");
}
