import { Token } from "cdktf";
import { Construct, type IConstruct } from "constructs";
import { inspect } from "node:util";

const MAX_SHOWN = 500;

/** Reports all wrong settings at once during the synthesis, so that you can correct them in one go. */
export class ConstructSettingsError extends Error {
  public override readonly name = "ConstructSettingsError";
  public readonly code = "ERR_LGS_CONSTRUCT_SETTINGS";

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
   * @throws ConstructSettingsError unless `problems` is empty.
   */
  public static throwIfAny(problems: readonly string[], owner?: IConstruct): void {
    // Two parts of a construct can find the same fault, such as an architecture that does not exist.
    if (problems.length > 0) throw new ConstructSettingsError([...new Set(problems)], owner?.node.path);
  }

  /**
   * Runs `make` for a construct. An error that names no construct yet then names this one.
   * @throws whatever `make` throws.
   */
  public static within<T>(owner: IConstruct, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (error instanceof ConstructSettingsError && error.path === undefined) {
        throw new ConstructSettingsError(error.problems, owner.node.path);
      }
      throw error;
    }
  }
}

/** Whether the synthesis knows a value. Terraform alone knows a token, and a text with `${…}`. */
export function isKnown(value: unknown): boolean {
  return !Token.isUnresolved(value) && !(typeof value === "string" && value.includes("${"));
}

/** `architecture "arm" is not one of arm64, x86_64`; the option's name says where it is set. */
export function problem(setting: string, value: unknown, expectation: string): string {
  return `${setting} ${shown(value)} ${expectation}`;
}

export function notOneOf(setting: string, value: unknown, allowed: readonly string[]): string {
  return problem(setting, value, `is not one of ${allowed.join(", ")}`);
}

/** As JSON where that is short. Numbers, functions and objects with circles have no JSON. */
function shown(value: unknown): string {
  if (Construct.isConstruct(value)) return `(the construct ${value.node.path})`;
  const isPlain = typeof value === "string" || (typeof value === "object" && value !== null);
  const text = isPlain ? jsonOf(value) : inspect(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return inspect(value, { depth: 0 });
  }
}
