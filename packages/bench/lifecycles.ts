import { sum } from "simple-statistics";
import type { DatabaseServer } from "../lab/mysql/server";
import type { LambdaRuntime } from "../lab/lambda/lambda-runtime";
import { run, type RunResult } from "../lab/runs/run";
import type { Subject } from "../lab/functions/subject";
import type { SubjectKey } from "./subjects";
import { distribution, type Distribution } from "./distribution";

export interface Lifecycles {
  readonly subject: string;
  /** Milliseconds from the first signal to the end of the runtime's process. */
  readonly gone: Distribution;
  /** Milliseconds from the start of the runtime's process to its first /next. */
  readonly init: Distribution;
  /** What both are of, round by round: all ways meet the same machine in each, at whatever speed it runs just then. */
  readonly rounds: { readonly gone: readonly number[]; readonly init: readonly number[] };
  readonly endings: Readonly<Record<string, number>>;
  readonly closed: number;
  readonly aborted: number;
  readonly leaked: number;
  /** Rise of the server's own counter. */
  readonly abortedClients: number;
}

/** The median of what sets two ways apart, round by round. */
export function apart(
  what: "gone" | "init",
  ours: Lifecycles,
  theirs: Lifecycles,
  compare: (ours: number, theirs: number) => number,
): number {
  return distribution(ours.rounds[what].map((ms, round) => compare(ms, theirs.rounds[what][round] ?? NaN))).p50;
}

export const ratio = (a: number, b: number): number => a / b;
export const difference = (a: number, b: number): number => a - b;

/** Takes the ways in turn, so that a machine that gets slower or faster does so for all of them. */
export async function lifecycles(
  subjects: Readonly<Record<SubjectKey, Subject>>,
  environments: number,
  runtime: LambdaRuntime,
  database: DatabaseServer,
  onProgress: (message: string) => void,
): Promise<Readonly<Record<SubjectKey, Lifecycles>>> {
  const results = Object.entries(subjects).map(([key, subject]) => ({ key, subject, list: [] as RunResult[] }));
  for (let round = 1; round <= environments; round += 1) {
    for (const { subject, list } of results) {
      onProgress(`environment ${round} of ${environments}: ${subject.name}`);
      list.push(await run(subject, runtime, database, [{}]));
    }
  }
  return Object.fromEntries(results.map(({ key, subject, list }) => [key, summarize(subject.name, list)])) as Record<
    SubjectKey,
    Lifecycles
  >;
}

function summarize(subject: string, results: readonly RunResult[]): Lifecycles {
  const outcomes = results.flatMap((result) => result.outcomes);
  const endings: Record<string, number> = {};
  for (const { shutdown } of results) endings[shutdown.endedBy] = (endings[shutdown.endedBy] ?? 0) + 1;
  const rounds = {
    gone: results.map(({ shutdown }) => hundredths(shutdown.runtimeMs)),
    init: results.map(({ initMs }) => hundredths(initMs ?? NaN)),
  };
  const count = (wanted: string): number => outcomes.filter((outcome) => outcome === wanted).length;
  return {
    ...{ subject, gone: distribution(rounds.gone), init: distribution(rounds.init), rounds, endings },
    ...{ closed: count("closed"), aborted: count("aborted"), leaked: count("leaked") },
    abortedClients: sum(results.map(({ abortedClients }) => abortedClients ?? 0)),
  };
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
