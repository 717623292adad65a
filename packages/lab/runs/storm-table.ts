import colors from "picocolors";
import { sideBySide, type Row } from "./side-by-side";
import type { StormResult } from "./storm";
import { verdictOf, type Verdict } from "./verdict";

/** What a storm found, for the same verdict as every other command's. */
export function stormVerdict(
  result: Pick<StormResult, "subject" | "opened" | "closed" | "aborted" | "leaked" | "endings" | "invocations"> &
    Partial<StormResult>,
): Verdict {
  const { subject, opened, closed, aborted, leaked, endings, invocations, goodbyes, unproven, otherRuntime, starved } =
    result;
  return verdictOf({
    ...{ subject, invocations, endings, connections: { opened, closed, aborted, leaked } },
    ...(starved === undefined ? {} : { starved }),
    ...(goodbyes === undefined ? {} : { goodbyes }),
    ...(unproven === undefined ? {} : { unproven }),
    ...(otherRuntime === undefined ? {} : { otherRuntime }),
  });
}

/** The ways side by side, a column each. */
export function stormTable(results: readonly StormResult[], width?: number): string {
  const rows: Row[] = [];
  const row = (title: string, cell: (result: StormResult) => string): void => {
    rows.push([title, ...results.map(cell)]);
  };
  const bad = (count: number): string => (count === 0 ? colors.green : colors.red)(String(count));
  row("environments at once, at the most", ({ peakEnvironments }) => String(peakEnvironments));
  row("invocations: ok / failed", ({ invocations: { ok, failed } }) => `${ok} / ${failed}`);
  row("connections opened", ({ opened }) => String(opened));
  row("  closed", ({ closed }) => String(closed));
  const hasOtherServers = results.some(({ goodbyes }) => goodbyes !== undefined);
  const isSeenByLab = hasOtherServers || results.some(({ hasNoCounter }) => hasNoCounter === true);
  row(`  aborted (${isSeenByLab ? "as the lab saw it" : "Aborted_clients"})`, ({ aborted }) => bad(aborted));
  row(hasOtherServers ? "  leaked" : "  leaked until wait_timeout", ({ leaked }) => bad(leaked));
  row(`connections held${hasOtherServers ? " by MySQL" : ""}, at the most`, ({ samples }) =>
    String(Math.max(...samples.map(({ connections }) => connections))),
  );
  row("Shutdown: runtime ended by", ({ endings }) => {
    const lines = Object.entries(endings).map(([what, count]) => `${what}: ${count}`);
    return lines.join("\n") || "a reset, each time";
  });
  row("  first signal → gone, p50 / p99", ({ goneMs }) =>
    goneMs.length === 0 ? "no process left by itself" : `${quantile(goneMs, 0.5)} / ${quantile(goneMs, 0.99)} ms`,
  );
  row("CPU of the lab / of what it ran", ({ cpu: { labMs, functionsMs } }) => {
    if (functionsMs === null) return `${(labMs / 1_000).toFixed(1)} s / not known here`;
    const share = ` (${((100 * labMs) / functionsMs).toFixed(0)} %)`;
    return `${(labMs / 1_000).toFixed(1)} / ${(functionsMs / 1_000).toFixed(1)} s${share}`;
  });
  return sideBySide(
    results.map(({ subject }) => subject),
    rows,
    width,
  );
}

function quantile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.ceil(share * sorted.length) - 1] ?? NaN).toFixed(1);
}
