import { verdictLine, type Verdict } from "../runs/verdict";
import type { HandlerOptions } from "./handler-options";
import { ownsOutput, report, type Check } from "./reporters";
import { wrapped } from "./terminal";

/** What a command has found, for each of its outputs. */
export interface CommandResult {
  readonly command: string;
  readonly subject: string;
  readonly verdict: Verdict;
  /** What to change, as `advice` gives it. @default - nothing */
  readonly change?: string | undefined;
  /** What the JSON has besides the verdict. */
  readonly details: object;
  /** What a terminal shows before the verdict. @default nothing */
  readonly text?: string;
  /** Sentences between the verdict and the advice. @default none */
  readonly notes?: readonly string[];
  /** What a reporter gets. @default - the verdict */
  readonly checks?: readonly Check[];
}

export function showResult(
  result: CommandResult,
  { json = false, reporter }: Pick<HandlerOptions, "json" | "reporter"> = {},
): Verdict {
  const { command, subject, verdict, change, details, text = "", notes = [] } = result;
  const { clean, kind, sentence } = verdict;
  if (json) console.log(JSON.stringify({ clean, verdict: kind, sentence, change, ...details }, undefined, 2));
  report(command, result.checks ?? [{ name: subject, result: kind, message: sentence }], reporter);
  if (json || ownsOutput(reporter)) return verdict;
  const advice = change === undefined ? [] : [`To change: ${spaced(change)}`];
  const lines = [verdictLine(verdict), ...notes, ...advice].filter((line) => line !== "");
  console.log(`${text}${wrapped(lines.join("\n"))}`);
  return verdict;
}

/** Empty lines around code. */
function spaced(change: string): string {
  const isCode = (line = ""): boolean => line.startsWith("    ");
  return change
    .split("\n")
    .flatMap((line, index, lines) => (index > 0 && isCode(line) !== isCode(lines[index - 1]) ? ["", line] : [line]))
    .join("\n");
}
