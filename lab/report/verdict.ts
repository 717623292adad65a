import type { ReportData } from "./report-data";

export interface Verdict {
  readonly clean: boolean;
  readonly sentence: string;
  /** What it rests on, a sentence each. */
  readonly facts: readonly string[];
}

/** About the first way of each measurement, which is the function whose report this is. */
export function reportVerdict({ runs, storms, faults }: ReportData): Verdict {
  const [run] = runs;
  const [storm] = storms;
  const name = run?.subject ?? storm?.subject ?? faults[0]?.function ?? "";
  const played = faults.filter((fault) => fault.function === name);
  const wrong = played.filter(({ problems }) => problems.length > 0);
  const checks: { readonly clean: boolean; readonly fact: string }[] = [];
  if (run !== undefined) {
    const closed = run.outcomes.filter((outcome) => outcome === "closed").length;
    checks.push({
      clean: run.outcomes.length > 0 && closed === run.outcomes.length && run.shutdown.endedBy === "itself",
      fact: `One life: ${closed} of ${run.outcomes.length} connections closed, the process ended by ${run.shutdown.endedBy}.`,
    });
  }
  if (storm !== undefined) {
    const { environments, opened, leaked, aborted } = storm;
    checks.push({
      clean: opened > 0 && leaked === 0 && aborted === 0,
      fact: `Storm of ${environments} environments: ${leaked} of ${opened} connections leaked, ${aborted} aborted.`,
    });
  }
  if (played.length > 0) {
    checks.push({
      clean: wrong.length === 0,
      fact: `Faults: ${played.length - wrong.length} of ${played.length} left nothing wrong.`,
    });
  }
  const clean = checks.length > 0 && checks.every((check) => check.clean);
  const missing = [
    ...(run === undefined ? ["one life"] : []),
    ...(storm === undefined ? ["the storm"] : []),
    ...(played.length === 0 ? ["the faults"] : []),
  ];
  return {
    clean,
    sentence: clean ? `✓ ${name} gave every connection back` : `✗ ${name} did not give every connection back`,
    facts: [
      ...checks.map((check) => `${check.clean ? "✓" : "✗"} ${check.fact}`),
      ...(missing.length > 0 ? [`– Not measured: ${missing.join(", ")}.`] : []),
    ],
  };
}
