import { findingsOf, verdictOf, type Verdict, type VerdictKind } from "../runs/verdict";
import { logInCell } from "../runs/log-in";
import { stormVerdict } from "../runs/storm-table";
import type { Fault, ReportData, Run, Storm } from "./report-data";

export interface ReportVerdict extends Verdict {
  /** The sentence with the mark of its kind before it. */
  readonly headline: string;
  /** What it rests on, a sentence each. */
  readonly facts: readonly string[];
}

/** Worst first: one measurement that is not clean is the whole's verdict. */
const WORST = ["not clean", "could not be invoked", "not proven here", "no database seen", "clean"] as const;

/** About the first way of each measurement, which is the function whose report this is. */
export function reportVerdict({ runs, storms, faults }: ReportData): ReportVerdict {
  const [run] = runs;
  const name = run?.subject ?? storms[0]?.subject ?? faults[0]?.function ?? "";
  // Without a storm of its own, the first storm is of a function that stands beside it.
  const storm = storms.find(({ subject }) => subject === name);
  const played = faults.filter((fault) => fault.function === name);
  const checks = [
    ...(run === undefined ? [] : [checkOfRun(run)]),
    ...(storm === undefined ? [] : [checkOfStorm(storm)]),
    ...(played.length === 0 ? [] : [checkOfFaults(played)]),
  ];
  const missing = [
    ...(run === undefined ? ["one life"] : []),
    ...(storm === undefined ? ["the storm"] : []),
    ...(played.length === 0 ? ["the faults"] : []),
  ];
  const kind = WORST.find((each) => checks.some((check) => check.kind === each)) ?? "not clean";
  const sentence = `${name} ${SENTENCES[kind]}`;
  const facts = checks.map((check) => `${markOf(check.kind)} ${check.fact}`);
  if (missing.length > 0) facts.push(`– Not measured: ${missing.join(", ")}.`);
  return { kind, clean: kind === "clean", sentence, headline: `${markOf(kind)} ${sentence}`, facts };
}

interface Check {
  readonly kind: VerdictKind;
  readonly fact: string;
}

function checkOfRun(run: Run): Check {
  const closed = run.outcomes.filter((outcome) => outcome === "closed").length;
  const logIn = run.logIn === undefined ? "" : ` (log-in: ${logInCell(run.logIn)})`;
  const ended = `the process ended by ${run.shutdown.endedBy}${logIn}`;
  return {
    kind: verdictOf(findingsOf({ invocations: [], ...run })).kind,
    fact: `One life: ${closed} of ${run.outcomes.length} connections closed, ${ended}.`,
  };
}

function checkOfStorm(storm: Storm): Check {
  const { environments, opened, leaked, aborted, invocations } = storm;
  const failed = invocations.failed === 0 ? "" : `, ${invocations.failed} invocations failed`;
  const outcome = `${leaked} of ${opened} connections leaked, ${aborted} aborted${failed}`;
  return { kind: stormVerdict(storm).kind, fact: `Storm of ${environments} environments: ${outcome}.` };
}

function checkOfFaults(played: readonly Fault[]): Check {
  const well = played.filter(({ problems }) => problems.length === 0).length;
  const kind = well === played.length ? "clean" : "not clean";
  return { kind, fact: `Faults: ${well} of ${played.length} left nothing wrong.` };
}

const SENTENCES: Readonly<Record<VerdictKind, string>> = {
  clean: "gave every connection back",
  "not clean": "did not pass: the marked facts say where",
  "could not be invoked": "could not be invoked",
  "not proven here": "gave every connection back, which is not proven without AWS's runtime client",
  "no database seen": "opened no connection to a database that the lab watches",
};

function markOf(kind: VerdictKind): string {
  return kind === "clean" ? "✓" : kind === "not clean" ? "✗" : "–";
}
