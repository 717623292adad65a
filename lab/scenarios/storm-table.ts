import Table from "cli-table3";
import colors from "picocolors";
import type { StormResult } from "./storm";

/** Whether a way left nothing behind, and one sentence that says so. */
export function stormVerdict(result: StormResult | undefined): { readonly clean: boolean; readonly sentence: string } {
  if (result === undefined) return { clean: false, sentence: "nothing was run" };
  const { subject, opened, leaked, aborted, endings } = result;
  const killed = endings["SIGKILL at its deadline"] ?? 0;
  // On a machine that is busy elsewhere, the fault need not be the function's.
  const late =
    killed > 0 ? ` (${killed} ${killed === 1 ? "was" : "were"} not done when the budget, real time, was over)` : "";
  // Where no connection was opened, none could be left behind.
  return {
    clean: opened > 0 && leaked === 0 && aborted === 0,
    sentence: `${subject}: of ${opened} connections, ${leaked} leaked, ${aborted} aborted${late}`,
  };
}

/** The ways side by side, a column each. */
export function stormTable(results: readonly StormResult[]): string {
  const table = new Table({
    head: ["", ...results.map(({ subject }) => colors.bold(subject))],
    style: { head: [], border: [], compact: true },
  });
  const row = (title: string, cell: (result: StormResult) => string): void => {
    table.push([title, ...results.map(cell)]);
  };
  const bad = (count: number): string => (count === 0 ? colors.green : colors.red)(String(count));
  row("environments at once, at the most", ({ peakEnvironments }) => String(peakEnvironments));
  row("invocations: ok / failed", ({ invocations: { ok, failed } }) => `${ok} / ${failed}`);
  row("connections opened", ({ opened }) => String(opened));
  row("  closed with COM_QUIT", ({ closed }) => String(closed));
  row("  aborted (Aborted_clients)", ({ aborted }) => bad(aborted));
  row("  leaked until wait_timeout", ({ leaked }) => bad(leaked));
  row("connections held, at the most", ({ samples }) =>
    String(Math.max(...samples.map(({ connections }) => connections))),
  );
  row("Shutdown: runtime ended by", ({ endings }) =>
    Object.entries(endings)
      .map(([what, count]) => `${what}: ${count}`)
      .join("\n"),
  );
  row("  first signal → gone, p50 / p99", ({ goneMs }) => `${quantile(goneMs, 0.5)} / ${quantile(goneMs, 0.99)} ms`);
  row("CPU of the lab / of what it ran", ({ cpu: { labMs, functionsMs } }) => {
    const share = Number.isNaN(functionsMs) ? "" : ` (${((100 * labMs) / functionsMs).toFixed(0)} %)`;
    return `${(labMs / 1_000).toFixed(1)} / ${(functionsMs / 1_000).toFixed(1)} s${share}`;
  });
  return table.toString();
}

function quantile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.ceil(share * sorted.length) - 1] ?? NaN).toFixed(1);
}
