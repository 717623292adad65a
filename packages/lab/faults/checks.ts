import type { FaultResult } from "./fault-result";
import type { Scenario } from "./steps";

/** Looks at what the environment has left behind, and returns what is wrong, a sentence each. */
export type Check = (scenario: Scenario, result: Omit<FaultResult, "problems">) => Promise<string[]> | string[];

/** How often an entry stands in the table that the function writes to. */
export function entries(entry: string, times: number): Check {
  return async ({ server }) => {
    const [row] = await server.administer("SELECT COUNT(*) AS number FROM lab.ledger WHERE entry = ?", [entry]);
    const found = Number(row?.["number"]);
    return found === times ? [] : [`the table has ${found} entries "${entry}", not ${times}`];
  };
}

/** How often the fake server was asked for something. */
export function asked(what: RegExp, times: number): Check {
  return ({ fake }) => {
    const found = fake?.statements.filter((statement) => what.test(statement)).length ?? NaN;
    return found === times ? [] : [`the server was asked ${found} times for ${what.source}, not ${times}`];
  };
}

/** How many connections the function has tried, from Init to the end. */
export function connectsAtMost(most: number): Check {
  return ({ fake }) => {
    const found = fake?.sessions.length ?? NaN;
    return found <= most ? [] : [`it connected ${found} times, more than ${most}`];
  };
}

/** No KILL has reached a statement that is not the function's. */
export const nobodyElseWasKilled: Check = ({ fake }) =>
  (fake?.kills ?? [])
    .filter(({ hit }) => hit !== "own")
    .map(({ what, connectionId, hit }) => `KILL ${what} ${connectionId} has hit ${hit}`);

/** Each connection has got its COM_QUIT within so many milliseconds of the signal. */
export function quitsWithin(ms: number, connections: number): Check {
  return (_scenario, { quitsAfterMs }) => {
    const inTime = quitsAfterMs.filter((afterMs) => afterMs <= ms).length;
    const found = quitsAfterMs.map((afterMs) => afterMs.toFixed(0)).join(", ");
    return inTime === connections ? [] : [`COM_QUIT after ${found} ms, not ${connections} within ${ms} ms`];
  };
}

/** Nothing of the kind stands in the log. */
export function logsNo(pattern: RegExp): Check {
  return ({ environment }) =>
    environment.logs.filter((line) => pattern.test(line)).map((line) => `the log has ${line.slice(0, 200)}`);
}

/** The levels of Lambda's advanced logging controls, from the least to the greatest. */
const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/**
 * Lambda keeps a JSON line whose `level` is at least the function's; one without a level counts as INFO:
 * https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
 */
export const survivesLogLevel: Check = (_scenario, { lines }) =>
  lines
    .map(({ level = "INFO" }) => level)
    .filter((level) => LEVELS.indexOf(level) < LEVELS.indexOf("WARN"))
    .map((level) => `CloudWatch drops the line, whose level is ${level}`);
