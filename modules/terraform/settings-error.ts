import { Token } from "cdktf";
import type { IConstruct } from "constructs";
import { hasExpressions, unfinishedTexts } from "./terraform-text";

/** Reports all wrong settings at once during the synthesis, so that you can correct them in one go. */
export class SettingsError extends Error {
  public override readonly name = "SettingsError";

  /**
   * @param problems without the construct
   * @param path of the construct that got the settings; the message names it in each line
   */
  public constructor(
    public readonly problems: readonly string[],
    public readonly path?: string,
  ) {
    super(problems.map((each) => (path === undefined ? each : `${path}: ${each}`)).join("\n"));
  }

  /**
   * @param owner the construct that got the settings
   * @throws SettingsError unless `problems` is empty.
   */
  public static throwIfAny(problems: readonly string[], owner?: IConstruct): void {
    // Two parts of a construct can find the same fault, such as an architecture that does not exist.
    if (problems.length > 0) throw new SettingsError([...new Set(problems)], owner?.node.path);
  }

  /**
   * Runs `make` for a construct. An error that names no construct yet then names this one.
   * @throws whatever `make` throws.
   */
  public static within<T>(owner: IConstruct, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (error instanceof SettingsError && error.path === undefined) {
        throw new SettingsError(error.problems, owner.node.path);
      }
      throw error;
    }
  }
}

/** Whether a value is known while synthesizing, and not only to Terraform: as a token, or as an expression of HCL. */
export function isKnown(value: unknown): boolean {
  return !Token.isUnresolved(value) && !(typeof value === "string" && hasExpressions(value));
}

/** What is wrong with the templates in settings. Empty if each `${` has its end. */
export function templateProblems(settings: object): string[] {
  return unfinishedTexts(settings).map(([setting, text]) =>
    problem(setting, text, 'has a "${" or "%{" without its "}". Write "$${" or "%%{" for the text itself'),
  );
}

/** `architecture "arm" is not one of arm64, x86_64`; the option's name says where it is set. */
export function problem(
  setting: string,
  value: string | number | boolean | readonly string[],
  expectation: string,
): string {
  return `${setting} ${JSON.stringify(value)} ${expectation}`;
}

export function notOneOf(setting: string, value: string | number, allowed: readonly (string | number)[]): string {
  return problem(setting, value, `is not one of ${allowed.join(", ")}`);
}

/** What is wrong with a choice. Empty if it is not set, or if only Terraform knows it. */
export function choiceProblems<Choice extends string | number>(
  setting: string,
  value: Choice | undefined,
  allowed: readonly Choice[],
): string[] {
  return value === undefined || !isKnown(value) || allowed.includes(value) ? [] : [notOneOf(setting, value, allowed)];
}

/** What is wrong with a number. Empty if only Terraform knows it. */
export function rangeProblems(
  setting: string,
  value: number,
  range: { min: number; max?: number; unit?: string },
): string[] {
  const { min, max, unit = "" } = range;
  if (!isKnown(value) || (Number.isInteger(value) && value >= min && value <= (max ?? value))) return [];
  const bounds = max === undefined ? `of ${min} or more` : `from ${min} to ${max}`;
  return [problem(setting, value, `is not a whole number ${bounds} ${unit}`.trimEnd())];
}
