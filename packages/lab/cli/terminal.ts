import { Help } from "commander";
import { terminalWidth } from "../runs/side-by-side";

/**
 * Whether a line of progress can be overwritten. A terminal without a size (`docker run -t`, `script`, `expect`) has 0
 * columns, with which a spinner computes infinitely many lines.
 */
export function canAnimate(
  { isTTY = false, columns = 0 }: { readonly isTTY?: boolean; readonly columns?: number } = process.stderr,
  { CI = "" }: NodeJS.ProcessEnv = process.env,
): boolean {
  return isTTY && columns > 0 && CI === "";
}

/** As wide as the terminal. Lines that begin with four spaces are code to copy, and stay as they are. */
export function wrapped(text: string, width = terminalWidth()): string {
  if (width === Infinity) return text;
  const help = new Help();
  return text
    .split("\n")
    .map((line) => (line.startsWith("    ") ? line : help.boxWrap(line, width)))
    .join("\n");
}
