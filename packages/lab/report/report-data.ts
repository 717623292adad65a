import type { FaultResult } from "../faults/fault-result";
import type { RunResult } from "../runs/run";
import type { StormResult } from "../runs/storm";
import { AUTH_KINDS } from "../functions/log-in";

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
  /** Of the storm's random decisions. */
  readonly seed: number;
  /** One life of each function. The verdict is about the first; the others stand beside it. */
  readonly runs: readonly Run[];
  /** Empty if there was no storm. */
  readonly storms: readonly Storm[];
  /** Empty if the faults were not played. */
  readonly faults: readonly Fault[];
}

/** What a value must be: a kind, one of some words, a list of something, or an object with these properties. */
type Shape =
  | { readonly optional: Shape }
  | "text"
  | "number"
  | { readonly oneOf: readonly string[] }
  | { readonly listOf: Shape }
  | { readonly recordOf: Shape }
  | { readonly has: Readonly<Record<string, Shape>> };

const LOG_IN: Shape = {
  has: { auth: { oneOf: AUTH_KINDS }, tls: { oneOf: ["verified", "used", "in part", "none", "unknown"] } },
};

const SHAPE: Shape = {
  has: {
    date: "text",
    machine: "text",
    versions: { recordOf: "text" },
    seed: "number",
    runs: {
      listOf: {
        has: {
          subject: "text",
          shutdown: { has: { endedBy: "text", runtimeMs: "number" } },
          outcomes: { listOf: { oneOf: ["closed", "aborted", "leaked"] } },
          inits: { optional: { listOf: "number" } },
          logIn: { optional: LOG_IN },
          timeline: {
            listOf: { has: { at: "number", phase: { oneOf: ["Init", "Invoke", "Shutdown"] }, what: "text" } },
          },
        },
      },
    },
    storms: {
      listOf: {
        has: {
          subject: "text",
          environments: "number",
          peakEnvironments: "number",
          seed: "number",
          samples: {
            listOf: {
              has: { at: "number", environments: "number", connections: "number", leaked: "number" },
            },
          },
          opened: "number",
          closed: "number",
          aborted: "number",
          leaked: "number",
          goneMs: { listOf: "number" },
          endings: { recordOf: "number" },
          invocations: { has: { ok: "number", failed: "number" } },
          logIn: { optional: LOG_IN },
        },
      },
    },
    faults: { listOf: { has: { fault: "text", function: "text", extension: "text", problems: { listOf: "text" } } } },
  },
};

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
  const problems = problemsOf(value, SHAPE, "");
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

function problemsOf(value: unknown, shape: Shape, path: string): string[] {
  const wrong = (expected: string): string[] => [
    value === undefined
      ? `${path} is missing; expected ${expected}`
      : `${path === "" ? "the whole" : path} ${excerpt(value)} is not ${expected}`,
  ];
  if (typeof shape === "object" && "optional" in shape) {
    return value === undefined ? [] : problemsOf(value, shape.optional, path);
  }
  if (shape === "text") return typeof value === "string" ? [] : wrong("a text");
  if (shape === "number") return typeof value === "number" ? [] : wrong("a number");
  if ("oneOf" in shape)
    return shape.oneOf.some((each) => each === value) ? [] : wrong(`one of ${shape.oneOf.join(", ")}`);
  if ("listOf" in shape) {
    if (!Array.isArray(value)) return wrong("a list");
    return value.flatMap((each: unknown, index) => problemsOf(each, shape.listOf, `${path}[${index}]`));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong("an object");
  const below = (name: string): string => (path === "" ? name : `${path}.${name}`);
  const properties = new Map<string, unknown>(Object.entries(value));
  return "recordOf" in shape
    ? [...properties].flatMap(([name, each]) => problemsOf(each, shape.recordOf, below(name)))
    : Object.entries(shape.has).flatMap(([name, each]) => problemsOf(properties.get(name), each, below(name)));
}

function excerpt(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
