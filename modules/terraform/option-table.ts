import { Token } from "cdktf";
import { closest, distance } from "fastest-levenshtein";
import { problem } from "./construct-settings-error";

/** The options of a construct by name. Types do not protect an app: `cdktf synth` runs it without a type check. */
export type OptionTable<Config = object> = Readonly<Record<keyof Config, Option>>;

interface Option {
  readonly kind: Kind;
  readonly isRequired: boolean;
  /** The options of an object, or of each object in a list. */
  readonly options: ((value: object) => OptionTable) | undefined;
}

const KINDS = {
  text: (value: unknown) => typeof value === "string",
  number: (value: unknown) => typeof value === "number" && !Number.isNaN(value),
  boolean: (value: unknown) => typeof value === "boolean",
  list: (value: unknown) => Array.isArray(value),
  map: isObject,
  object: isObject,
} as const;
type Kind = keyof typeof KINDS;

export function required(kind: Kind, options?: Option["options"]): Option {
  return { kind, isRequired: true, options };
}

export function optional(kind: Kind, options?: Option["options"]): Option {
  return { kind, isRequired: false, options };
}

/** Names that no option has, required options without a value, and values of another type. */
export function optionProblems(config: unknown, table: OptionTable, prefix = ""): string[] {
  const values = (isObject(config) ? config : {}) as Readonly<Record<string, unknown>>;
  const options = Object.entries<Option>(table);
  const names = options.map(([name]) => name);
  return [
    ...Object.keys(values)
      .filter((name) => !names.includes(name))
      .map((name) => `${prefix}${name} is not an option. ${hint(name, names, prefix)}`),
    ...options.flatMap(([name, option]) => valueProblems(`${prefix}${name}`, values[name], option)),
  ];
}

function valueProblems(setting: string, value: unknown, { kind, isRequired, options }: Option): string[] {
  if (value === undefined) return isRequired ? [`${setting} is undefined, but required`] : [];
  if (Token.isUnresolved(value)) return [];
  if (!KINDS[kind](value)) return [problem(setting, value, `is not ${/^[aeiou]/.test(kind) ? "an" : "a"} ${kind}`)];
  if (value === "") return [problem(setting, value, "is empty")];
  if (kind === "object") return options ? optionProblems(value, options(value as object), `${setting}.`) : [];
  if (kind !== "list" && kind !== "map") return [];
  const element = options ? required("object", options) : { kind: "text" as const, isRequired: true, options };
  return Object.entries(value as object).flatMap(([name, each]) =>
    // A variable of the environment may be empty.
    each === "" ? [] : valueProblems(kind === "list" ? `${setting}[${name}]` : `${setting}.${name}`, each, element),
  );
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hint(name: string, names: readonly string[], prefix: string): string {
  const [small, known] = [name.toLowerCase(), names.map((each) => each.toLowerCase())];
  const nearest = closest(small, known);
  const similar =
    known.find((each) => each.startsWith(small) || small.startsWith(each)) ??
    (distance(small, nearest) <= Math.max(2, small.length / 3) ? nearest : undefined);
  if (similar === undefined) return `The options are ${names.join(", ")}`;
  return `Did you mean ${prefix}${names[known.indexOf(similar)] ?? ""}?`;
}
