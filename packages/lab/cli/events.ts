import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import { fromInvocationDirectory } from "./invocation-directory";

const ALLOWED = "Expected a JSON array of events, or one event a line.";

/** Reads `--event`. */
export function event(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It is not JSON: ${messageOf(error)}`);
  }
}

/** Reads the file of `--events`: a JSON array of them, or JSON lines. */
export function events(path: string): readonly unknown[] {
  let text: string;
  try {
    text = readFileSync(fromInvocationDirectory(path), "utf8");
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new InvalidArgumentError(isMissing ? `There is no such file. ${ALLOWED}` : `${messageOf(error)}. ${ALLOWED}`);
  }
  if (text.trim() === "") throw new InvalidArgumentError(`It is empty. ${ALLOWED}`);
  const whole = parsed(text);
  if (whole !== undefined) return Array.isArray(whole) ? whole : [whole];
  const lines = text.split("\n");
  if (text.trimStart().startsWith("[")) throw new InvalidArgumentError(`${whereArrayBreaks(lines)} ${ALLOWED}`);
  return lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line) as unknown];
    } catch (error) {
      throw new InvalidArgumentError(`Line ${index + 1}: ${messageOf(error)}. ${ALLOWED}`);
    }
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The parser does not always say where; but up to the line that is wrong, nothing is missing but the end. */
function whereArrayBreaks(lines: readonly string[]): string {
  for (const index of lines.keys()) {
    const upToHere = lines.slice(0, index + 1).join("\n");
    try {
      JSON.parse(upToHere);
    } catch (error) {
      const message = messageOf(error);
      const position = /position (\d+)/.exec(message)?.[1];
      const onlyLacksItsEnd = message.startsWith("Unexpected end") || position === String(upToHere.length);
      if (!onlyLacksItsEnd) return `Line ${index + 1}: ${message}.`;
    }
  }
  return `Line ${lines.length}: the array has no end.`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
