import * as Plot from "@observablehq/plot";
import { draw, look, milliseconds, percentile, shortened, type Figure } from "./figure";
import { logInsOf } from "./log-ins";
import type { StormSample } from "../runs/storm";
import type { Storm } from "./report-data";

const WIDTH = 900;
const HEIGHT = 380;
const MARGIN = { marginTop: 34, marginRight: 200, marginBottom: 54, marginLeft: 50 };
/** The lab's budgets are real time, so too many Shutdowns at once would measure the load. */
const SLOPE =
  "The slope at the end is the lab's: it plays one Shutdown phase per core at a time, while Lambda plays all of them side by side. " +
  "Its length is no time that Lambda takes.";
const LABEL_HEIGHT = 36;

/** The connections that the server held while environments came and went, a line for each function. */
export function stormFigure(storms: readonly Storm[]): Figure {
  const { environments = 0, seed = 0 } = storms[0] ?? {};
  const told = storms.map(
    ({ subject, opened, closed, aborted, leaked }) =>
      `${subject}: ${opened} opened, ${closed} closed, ${aborted} aborted, ${leaked} leaked`,
  );
  const what = `${environments} execution environments of each function under load, taken away at random (seed ${seed})`;
  return {
    name: "storm",
    title: "Connections on the server during the storm",
    description: `${what}. ${told.join(". ")}.${logInsOf(storms)}`,
    ...{ width: WIDTH, height: HEIGHT, body: drawn(storms) },
    notes: [
      "●: every environment is gone. The pale line after it: what the server holds then, it holds until wait_timeout.",
      "leaked: the server still holds the connection when its environment is gone. aborted: the connection ended without COM_QUIT.",
      SLOPE,
    ],
    subjects: storms.map(({ subject }) => subject),
    table: [
      ["", "environments at once", "opened", "closed", "aborted", "leaked", "invocations", "failed", "gone, p50 (ms)"],
      ...storms.map(({ subject, peakEnvironments, opened, closed, aborted, leaked, invocations, goneMs }) => [
        ...[subject, ...[peakEnvironments, opened, closed, aborted, leaked].map(String)],
        ...[String(invocations.ok + invocations.failed), String(invocations.failed)],
        goneMs.length === 0 ? "" : milliseconds(percentile(goneMs, 0.5)),
      ]),
    ],
  };
}

function drawn(storms: readonly Storm[]): string {
  const seconds = Math.max(1, ...storms.flatMap(({ samples }) => samples.map(secondsOf)));
  const most = Math.max(1, ...storms.flatMap(({ samples }) => samples.map(({ connections }) => connections)));
  const plotHeight = HEIGHT - MARGIN.marginTop - MARGIN.marginBottom;
  const ends = storms.map(({ samples }) => samples.at(-1)?.connections ?? 0);
  const wanted = ends.map((connections) => MARGIN.marginTop + plotHeight * (1 - connections / most));
  const places = spread(wanted, LABEL_HEIGHT, HEIGHT - MARGIN.marginBottom + 8);
  const title = { frameAnchor: "top-left", dx: 12 - MARGIN.marginLeft, dy: -22 } as const;
  return draw({
    ...{ width: WIDTH, height: HEIGHT, ...MARGIN },
    x: { domain: [0, seconds], label: "seconds since the storm began", labelAnchor: "center", labelArrow: "none" },
    y: { domain: [0, most], label: null },
    marks: [
      Plot.text(["connections that the server holds"], title),
      Plot.gridY({ className: "grid", strokeOpacity: 1 }),
      Plot.ruleY([0], { className: "grid" }),
      ...storms.flatMap((storm, index) => lineOf(storm, index, seconds, places[index] ?? 0)),
    ],
  });
}

function lineOf(storm: Storm, index: number, until: number, place: number): readonly Plot.Markish[] {
  const { subject, samples, leaked, aborted } = storm;
  const { fill, line, dashes } = look(index);
  const [end, at] = [samples.slice(-1), { x: secondsOf, y: "connections" }];
  return [
    Plot.line(samples, {
      ...{ ...at, curve: "step-after", className: line, strokeWidth: 2.5, strokeDasharray: dashes },
    }),
    // To the label: what the server holds now it goes on holding.
    Plot.ruleY(end, { x1: secondsOf, x2: until, y: "connections", className: line, strokeOpacity: 0.35 }),
    Plot.dot(end, { ...at, r: 4, className: fill, stroke: "none" }),
    Plot.text([`${shortened(subject, 24)}\n${leaked} leaked, ${aborted} aborted`], {
      ...{ frameAnchor: "top-right", textAnchor: "start", lineAnchor: "middle", lineHeight: 1.25 },
      ...{ fontWeight: 600, className: fill, dx: 12, dy: place - MARGIN.marginTop },
    }),
  ];
}

function secondsOf({ at }: StormSample): number {
  return at / 1_000;
}

/** Moves what stands too close apart, from the bottom up, and keeps the order. */
function spread(wanted: readonly number[], distance: number, bottom: number): readonly number[] {
  const places = [...wanted];
  let limit = bottom;
  for (const [index, place] of [...wanted.entries()].sort(([a, left], [b, right]) => right - left || b - a)) {
    places[index] = Math.min(place, limit);
    limit = (places[index] ?? 0) - distance;
  }
  return places;
}
