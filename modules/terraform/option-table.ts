import { TerraformProvider, Token } from "cdktf";
import { Construct } from "constructs";
import { closest, distance } from "fastest-levenshtein";
import { isKnown, notOneOf, problem } from "./construct-settings-error";

/** The options of a construct by name. Types do not protect an app: `cdktf synth` runs it without a type check. */
export type OptionTable<Config = object> = Readonly<Record<keyof Config, Option>>;

/** What a value may be, as `is not …` continues. */
interface Kind {
  readonly phrase: string;
  readonly accepts: (value: unknown) => boolean;
}

const KINDS = {
  text: { phrase: "a text", accepts: (value) => typeof value === "string" },
  number: { phrase: "a number", accepts: Number.isFinite },
  count: { phrase: "a whole number above 0", accepts: (value) => Number.isInteger(value) && Number(value) > 0 },
  port: {
    phrase: "a whole number from 1 to 65535",
    accepts: (value) => Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536,
  },
  boolean: { phrase: "a boolean", accepts: (value) => typeof value === "boolean" },
  list: { phrase: "a list", accepts: Array.isArray },
  map: { phrase: "a map", accepts: isObject },
  object: { phrase: "an object", accepts: isObject },
  provider: { phrase: "a provider of CDKTF", accepts: (value) => TerraformProvider.isTerraformProvider(value) },
} as const satisfies Record<string, Kind>;

interface Option {
  /** A list of texts has the values to choose from. */
  readonly kind: keyof typeof KINDS | Kind | readonly string[];
  readonly isRequired: boolean;
  /** The synthesis itself reads the value, so it cannot be a token. */
  readonly isRead: boolean;
  /** The options of an object, or of each object in a list. */
  readonly options: ((value: object) => OptionTable) | undefined;
}

export function required(kind: Option["kind"], options?: Option["options"]): Option {
  return { kind, isRequired: true, isRead: kind === "object" || options !== undefined, options };
}

export function optional(kind: Option["kind"], options?: Option["options"]): Option {
  return { ...required(kind, options), isRequired: false };
}

/** The same option, for a value that only the synthesis can use. */
export function read(option: Option): Option {
  return { ...option, isRead: true };
}

/** Names that no option has, required options without a value, and values of another type. */
export function optionProblems(config: unknown, table: OptionTable, prefix = ""): string[] {
  if (config !== undefined && !isObject(config))
    return [problem(prefix || "The configuration", config, "is not an object")];
  const values = (config ?? {}) as Readonly<Record<string, unknown>>;
  const options = Object.entries<Option>(table);
  const names = options.map(([name]) => name);
  return [
    ...Object.keys(values)
      .filter((name) => !names.includes(name))
      .map((name) => `${prefix}${name} is not an option. ${hint(name, names, prefix)}`),
    ...options.flatMap(([name, option]) => valueProblems(`${prefix}${name}`, values[name], option)),
  ];
}

function valueProblems(setting: string, value: unknown, option: Option): string[] {
  const { kind, isRequired, isRead, options } = option;
  if (value === undefined) return isRequired ? [`${setting} is undefined, but required`] : [];
  if (isRead && !isKnown(value))
    return [`${setting} is known to Terraform only, but the synthesis reads it. Set the value itself`];
  if (Array.isArray(kind)) {
    const isToken = !isKnown(value) && !Array.isArray(value);
    return isToken || kind.includes(value) ? [] : [notOneOf(setting, value, kind as readonly string[])];
  }
  const { phrase, accepts } = typeof kind === "string" ? KINDS[kind] : (kind as Kind);
  // CDKTF converts any token but one of a list.
  if (Token.isUnresolved(value) && !Array.isArray(value)) return [];
  if (!accepts(value)) return [problem(setting, value, `is not ${phrase}`)];
  if (value === "") return [problem(setting, value, "is empty")];
  if (Token.isUnresolved(value)) return [];
  if (kind === "object") return options ? optionProblems(value, options(value as object), `${setting}.`) : [];
  return kind === "list" || kind === "map" ? elementProblems(setting, value as object, option) : [];
}

function elementProblems(setting: string, elements: object, { kind, isRead, options }: Option): string[] {
  const element = { ...required(options ? "object" : "text", options), isRead };
  const named = Array.isArray(elements)
    ? elements.map((each: unknown, index) => [`${setting}[${index}]`, each] as const)
    : Object.entries(elements).map(([name, each]) => [`${setting}.${name}`, each as unknown] as const);
  return named.flatMap(([name, each]) =>
    // A variable of the environment may be empty.
    kind === "map" && each === "" ? [] : valueProblems(name, each, element),
  );
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !Construct.isConstruct(value);
}

function hint(name: string, names: readonly string[], prefix: string): string {
  const [small, known] = [name.toLowerCase(), names.map((each) => each.toLowerCase())];
  const nearest = closest(small, known);
  const similar =
    known.find((each) => each.startsWith(small) || small.startsWith(each)) ??
    (distance(small, nearest) <= Math.max(2, small.length / 3) ? nearest : undefined) ??
    known.find((each) => each.endsWith(small));
  if (similar === undefined || small === "") return `The options are ${names.join(", ")}`;
  return `Did you mean ${prefix}${names[known.indexOf(similar)] ?? ""}?`;
}
