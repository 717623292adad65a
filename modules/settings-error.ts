import { Token } from "cdktf";

/** Where a fork sets the value that an error is about. */
const SETTINGS_FILE = "main.ts";

/** Thrown while synthesizing, with everything that is wrong at once, so that a fork is mended in one go. */
export class SettingsError extends Error {
  public override readonly name = "SettingsError";

  public constructor(public readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }

  /** @throws SettingsError unless `problems` is empty. */
  public static throwIfAny(problems: readonly string[]): void {
    if (problems.length > 0) throw new SettingsError(problems);
  }
}

/** `architecture "arm" is not one of arm64, x86_64 (main.ts: architecture)` */
export function problem(setting: string, value: string | number, expectation: string): string {
  return `${setting} ${JSON.stringify(value)} ${expectation} (${SETTINGS_FILE}: ${setting})`;
}

export function notOneOf(setting: string, value: string, allowed: readonly string[]): string {
  return problem(setting, value, `is not one of ${allowed.join(", ")}`);
}

/** What is wrong with a number; nothing is, as far as can be known now, if only Terraform knows it. */
export function rangeProblems(
  setting: string,
  value: number,
  range: { min: number; max: number; unit?: string },
): string[] {
  const { min, max, unit = "" } = range;
  if (Token.isUnresolved(value) || (Number.isInteger(value) && value >= min && value <= max)) return [];
  return [problem(setting, value, `is not a whole number from ${min} to ${max} ${unit}`.trimEnd())];
}
