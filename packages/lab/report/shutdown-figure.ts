import * as Plot from "@observablehq/plot";
import { AWS_LIMITS } from "../lambda/execution-environment";
import { draw, look, milliseconds, percentile, shortened, type Figure } from "./figure";
import { logInsOf } from "./log-ins";
import type { Storm } from "./report-data";

const WIDTH = 900;
const ROW_HEIGHT = 72;
const MARGIN = { marginTop: 34, marginRight: 210, marginBottom: 54, marginLeft: 150 };
/** Characters that fit beside the plot, the count behind them. */
const LONGEST_ENDING = 23;
/** A logarithmic axis has no zero; a process takes longer than this to go. */
const SHORTEST_MS = 0.5;
/** More dots on one another show no more. */
const MOST_DOTS = 300;
const TICKS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000];
const DECADES = [1, 10, 100, 1_000];
/** Its multiples spread the dots over their row evenly, and each time alike. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

const BUDGET_MS = AWS_LIMITS.runtimeWithExternalMs;

/** How long the process took to go after its first signal, a dot for each environment. */
export function shutdownFigure(storms: readonly Storm[]): Figure {
  const height = MARGIN.marginTop + MARGIN.marginBottom + ROW_HEIGHT * storms.length;
  const told = storms.map(
    ({ subject, goneMs, endings }) => `${subject}: ${figures(goneMs)}, ended by ${endingsOf(endings)}`,
  );
  const marks = "Circles are processes that ended after SIGTERM, crosses were killed; the stroke is the median.";
  return {
    name: "shutdown",
    title: "From the first signal to the end of the process",
    description: `${told.join(". ")}. ${marks}${logInsOf(storms)}`,
    ...{ width: WIDTH, height, body: drawn(storms, height) },
    notes: [
      `○: the process ended after SIGTERM. ×: killed by SIGKILL. Upright stroke: the median (p50). Dotted line: ${BUDGET_MS} ms, what a function with an external extension has. Beside each row: how often what ended the process.`,
      "Each environment shares the cores with the storm's others, so these are times under load.",
    ],
    subjects: storms.map(({ subject }) => subject),
    table: [
      ["milliseconds", "environments", "p50", "p90", "p99", "max", "ended by"],
      ...storms.map(({ subject, goneMs, endings }) => [
        ...[subject, String(goneMs.length)],
        ...[0.5, 0.9, 0.99, 1].map((share) => (goneMs.length === 0 ? "" : percentile(goneMs, share).toFixed(1))),
        endingsOf(endings),
      ]),
    ],
  };
}

function drawn(storms: readonly Storm[], height: number): string {
  const all = storms.flatMap(({ goneMs }) => goneMs);
  const domain = [Math.max(SHORTEST_MS, Math.min(2, ...all)), Math.max(BUDGET_MS, ...all) * 1.15] as const;
  const within = (tick: number): boolean => tick >= domain[0] && tick <= domain[1];
  return draw({
    ...{ width: WIDTH, height, ...MARGIN },
    x: {
      ...{ type: "log", domain, labelAnchor: "center", labelArrow: "none", tickFormat: "~f" },
      label: "milliseconds from the first signal to the end of the process (logarithmic)",
      ticks: TICKS.filter(within),
    },
    y: { domain: [-0.5, Math.max(0.5, storms.length - 0.5)], reverse: true, axis: null },
    marks: [
      Plot.gridX({ className: "grid", strokeOpacity: 1, ticks: DECADES.filter(within) }),
      Plot.ruleX([BUDGET_MS], { className: "mark", strokeDasharray: "3 4" }),
      Plot.text([`SIGKILL at ${BUDGET_MS} ms`], { x: () => BUDGET_MS, frameAnchor: "top", dy: -14 }),
      ...storms.flatMap(rowOf),
    ],
  });
}

function rowOf({ subject, goneMs, endings }: Storm, index: number): readonly Plot.Markish[] {
  const { fill, line } = look(index);
  const dots = dotsOf(goneMs, endings, index);
  const [left, killed] = [dots.filter((dot) => !dot.killed), dots.filter((dot) => dot.killed)];
  const median = goneMs.length === 0 ? [] : [Math.max(SHORTEST_MS, percentile(goneMs, 0.5))];
  const mark = { x: "ms", y: "row", r: 3.5, className: line, strokeWidth: 1.3, strokeOpacity: 0.75 };
  const beside = { y: () => index, textAnchor: "start" } as const;
  return [
    Plot.dot(left, { ...mark, symbol: "circle" }),
    Plot.dot(killed, { ...mark, symbol: "times" }),
    Plot.ruleX(median, { y1: index - 0.36, y2: index + 0.36, className: line, strokeWidth: 3 }),
    Plot.text([shortened(subject, 19)], {
      ...{ ...beside, frameAnchor: "left", dx: 12 - MARGIN.marginLeft, fontWeight: 600, className: fill },
    }),
    Plot.text([`${figures(goneMs)}\n${endingsOf(endings, "\n", LONGEST_ENDING)}`], {
      ...{ ...beside, frameAnchor: "right", dx: 14, lineHeight: 1.25, className: "ink" },
    }),
  ];
}

function figures(goneMs: readonly number[]): string {
  if (goneMs.length === 0) return "none";
  return `p50 ${milliseconds(percentile(goneMs, 0.5))} ms, p99 ${milliseconds(percentile(goneMs, 0.99))} ms`;
}

function endingsOf(endings: Storm["endings"], separator = ", ", mostCharacters = Infinity): string {
  return Object.entries(endings)
    .map(([ending, times]) => `${shortened(ending, mostCharacters)} ${times}×`)
    .join(separator);
}

interface Dot {
  readonly ms: number;
  readonly row: number;
  readonly killed: boolean;
}

/** From the shortest to the longest; those that had to be killed at their deadline are the longest. */
function dotsOf(goneMs: readonly number[], endings: Storm["endings"], row: number): readonly Dot[] {
  const every = Math.ceil(goneMs.length / MOST_DOTS);
  const killed = (endings["SIGKILL at its deadline"] ?? 0) + (endings["SIGKILL at once"] ?? 0);
  const leftThemselves = goneMs.length - killed;
  return goneMs
    .toSorted((a, b) => a - b)
    .map((ms, index) => ({
      ms: Math.max(SHORTEST_MS, ms),
      row: row + (((index * GOLDEN) % 1) - 0.5) * 0.5,
      killed: index >= leftThemselves,
    }))
    .filter((_, index) => index % every === 0);
}
