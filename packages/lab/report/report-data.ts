import type { FaultResult } from "../faults/fault-result";
import type { RunResult } from "../runs/run";
import type { StormResult } from "../runs/storm";
import { AUTH_KINDS } from "../functions/log-in";
import Ajv, { type ErrorObject } from "ajv";

/** One lifecycle, without the function's log, which may contain anything. */
export type Run = Pick<RunResult, "subject" | "shutdown" | "outcomes" | "timeline" | "initError" | "isLabClient"> &
  Partial<Pick<RunResult, "invocations" | "logIn">> & {
    /** Milliseconds of Init in each run of this function, the drawn one among them. @default - it ran once */
    readonly inits?: readonly number[];
  };
export type Storm = Omit<StormResult, "cpu">;
export type Fault = Pick<FaultResult, "fault" | "function" | "extension" | "problems">;

/** What is measured once and can be drawn again and again. */
export interface ReportData {
  /** ISO 8601 */
  readonly date: string;
  readonly machine: string;
  /** What it was measured with, such as `{ "database": "MariaDB 10.11.14" }`. */
  readonly versions: Readonly<Record<string, string>>;
  readonly seed: number;
  /** One life of each function. The verdict is about the first; the others stand beside it. */
  readonly runs: readonly Run[];
  readonly storms: readonly Storm[];
  readonly faults: readonly Fault[];
}

interface Schema {
  readonly type?: "string" | "number" | "array" | "object";
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
}

const TEXT: Schema = { type: "string" };
const NUMBER: Schema = { type: "number" };
const oneOf = (...words: readonly string[]): Schema => ({ enum: words });
const list = (items: Schema): Schema => ({ type: "array", items });
const record = (additionalProperties: Schema): Schema => ({ type: "object", additionalProperties });

function object(required: Readonly<Record<string, Schema>>, optional: Readonly<Record<string, Schema>> = {}): Schema {
  return { type: "object", properties: { ...required, ...optional }, required: Object.keys(required) };
}

const LOG_IN = object({ auth: oneOf(...AUTH_KINDS), tls: oneOf("verified", "used", "in part", "none", "unknown") });

const RUN = object(
  {
    subject: TEXT,
    shutdown: object({ endedBy: TEXT, runtimeMs: NUMBER }),
    outcomes: list(oneOf("closed", "aborted", "leaked")),
    timeline: list(object({ at: NUMBER, phase: oneOf("Init", "Invoke", "Shutdown"), what: TEXT })),
  },
  { inits: list(NUMBER), logIn: LOG_IN },
);

const STORM = object(
  {
    ...{ subject: TEXT, environments: NUMBER, peakEnvironments: NUMBER, seed: NUMBER },
    samples: list(object({ at: NUMBER, environments: NUMBER, connections: NUMBER, leaked: NUMBER })),
    ...{ opened: NUMBER, closed: NUMBER, aborted: NUMBER, leaked: NUMBER, goneMs: list(NUMBER) },
    endings: record(NUMBER),
    invocations: object({ ok: NUMBER, failed: NUMBER }),
  },
  { logIn: LOG_IN },
);

const DATA = object({
  ...{ date: TEXT, machine: TEXT, versions: record(TEXT), seed: NUMBER, runs: list(RUN), storms: list(STORM) },
  faults: list(object({ fault: TEXT, function: TEXT, extension: TEXT, problems: list(TEXT) })),
});

/** `report --json` prints the verdict beside the data; a reader of the data comes to it again. */
function withoutVerdict(printed: ReportData): ReportData {
  return Object.fromEntries(
    Object.entries(printed).filter(([name]) => !["clean", "verdict", "sentence"].includes(name)),
  ) as unknown as ReportData;
}

/** More than these tell nothing new of a file that is of another kind altogether. */
const MOST_PROBLEMS = 10;

/**
 * Reads what `report --json` printed.
 *
 * @param file its name, for the error
 * @throws with everything that is wrong with it
 */
export function reportData(text: string, file: string): ReportData {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const isValid = new Ajv({ allErrors: true, verbose: true }).compile(DATA);
  const problems = isValid(value) ? [] : (isValid.errors ?? []).map(problemOf);
  const data = value as ReportData;
  if (problems.length === 0 && Number.isNaN(Date.parse(data.date))) {
    problems.push(`date ${JSON.stringify(data.date)} is not a date as in 2026-01-31T12:00:00Z`);
  }
  if (problems.length === 0 && data.runs.length + data.storms.length + data.faults.length === 0) {
    problems.push("runs, storms and faults are empty, there is nothing to draw");
  }
  if (problems.length === 0) return withoutVerdict(data);
  const more = problems.length - MOST_PROBLEMS;
  const shown = [...problems.slice(0, MOST_PROBLEMS), ...(more > 0 ? [`and ${more} more`] : [])];
  throw new Error(`${file} is not what \`report --json\` prints:\n${shown.map((each) => `  ${each}`).join("\n")}`);
}

const KINDS = { string: "a text", number: "a number", array: "a list", object: "an object" };

function kindOf({ type = "object", enum: words }: Schema): string {
  return words === undefined ? KINDS[type] : `one of ${words.join(", ")}`;
}

function problemOf({ instancePath, keyword, params, data, parentSchema = {} }: ErrorObject): string {
  const path = instancePath
    .slice(1)
    .replaceAll(/\/(\d+)(?![^/])/g, "[$1]")
    .replaceAll("/", ".");
  const schema = parentSchema as Schema;
  if (keyword !== "required") return `${path === "" ? "the whole" : path} ${excerpt(data)} is not ${kindOf(schema)}`;
  const { missingProperty: name } = params as { readonly missingProperty: string };
  const expected = kindOf(schema.properties?.[name] ?? {});
  return `${path === "" ? "" : `${path}.`}${name} is missing; expected ${expected}`;
}

function excerpt(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
