import { escape, milliseconds, percentile, shortened, type Figure } from "./figure";
import { logInCell } from "../runs/log-in";
import { logInsOf } from "./log-ins";
import type { Run } from "./report-data";

const WIDTH = 900;
const TOP = 86;
const LANE_HEIGHT = 98;
const LIFE = { from: 20, to: 390 };
const SHUTDOWN = { from: 420, to: 880 };
const FEWEST_PIXELS = 2;

type Panel = typeof LIFE;

export function timelineFigure(runs: readonly Run[]): Figure {
  const lifecycles = runs.map((run) => ({ run, ...phasesOf(run) }));
  const lifecycle = scale(LIFE, Math.max(1, ...lifecycles.map(({ signalAt }) => signalAt)));
  const shutdown = scale(SHUTDOWN, 1.04 * Math.max(10, ...lifecycles.map(({ goneAt, signalAt }) => goneAt - signalAt)));
  const height = TOP + LANE_HEIGHT * runs.length + 34;
  const bottom = TOP + LANE_HEIGHT * runs.length;
  return {
    name: "timeline",
    title: "One execution environment of each function, from its start to its end",
    description:
      lifecycles.map(({ run, ...phases }) => `${run.subject}: ${sentence(run, phases)}`).join(" ") + logInsOf(runs),
    ...{ width: WIDTH, height },
    notes: [
      "Init: from the start of the runtime's process to its first request for an event; the extensions start before it.",
      "closed: the server got COM_QUIT. aborted: the connection ended without it. leaked: the environment is gone, and the server holds the connection until wait_timeout.",
      "Each life is one run. How long processes take to end is in the chart of many of them.",
    ],
    subjects: runs.map(({ subject }) => subject),
    body: [
      legend(),
      axis(lifecycle, bottom, "ms since the environment was created"),
      axis(shutdown, bottom, "ms since the first signal"),
      ...lifecycles.map(({ run, ...phases }, index) =>
        lane(run, phases, TOP + LANE_HEIGHT * index, lifecycle, shutdown),
      ),
    ].join("\n"),
    table: [
      ["function", "ms since its start", "phase", "what"],
      ...runs.flatMap(({ subject, timeline }) =>
        timeline.map(({ at, phase, what }) => [subject, at.toFixed(1), phase, what]),
      ),
    ],
  };
}

interface Phases {
  /** The runtime's process starts: Init, as every figure and table has it, begins here. */
  readonly startedAt: number;
  readonly readyAt: number;
  readonly invocations: readonly { readonly from: number; readonly to: number }[];
  readonly signal: "SIGTERM" | "SIGKILL" | "no signal";
  readonly signalAt: number;
  readonly quitsAt: readonly number[];
  readonly killedAt: number | undefined;
  readonly goneAt: number;
}

/** Read from the entries that the execution environment records; after a reset, the last signal is the one that counts. */
function phasesOf({ timeline, shutdown }: Run): Phases {
  const last = (what: string): number | undefined => timeline.findLast((entry) => entry.what.startsWith(what))?.at;
  const terminatedAt = last("SIGTERM to the runtime");
  const killedAtOnce = last("no extension registered: SIGKILL");
  const signalAt = terminatedAt ?? killedAtOnce ?? timeline.at(-1)?.at ?? 0;
  const afterSignal = timeline.filter(({ at }) => at >= signalAt);
  const begun = timeline.filter(({ what }) => what === "invocation");
  const ended = timeline.filter(({ what }) => /^(response|function error )|, reset$/.test(what));
  return {
    startedAt: timeline.find(({ what }) => what === "runtime started")?.at ?? 0,
    readyAt: timeline.find(({ what }) => /^(runtime ready|Init failed)/.test(what))?.at ?? signalAt,
    invocations: begun.map(({ at: from }, index) => ({ from, to: ended[index]?.at ?? signalAt })),
    signal: terminatedAt !== undefined ? "SIGTERM" : killedAtOnce !== undefined ? "SIGKILL" : "no signal",
    signalAt,
    quitsAt: afterSignal.flatMap(({ at, what }) => (what.startsWith("COM_QUIT") ? [at] : [])),
    killedAt: afterSignal.find(({ what }) => what.startsWith("SIGKILL to the runtime"))?.at ?? killedAtOnce,
    goneAt: signalAt + shutdown.runtimeMs,
  };
}

function lane(run: Run, phases: Phases, top: number, lifecycle: Scale, shutdown: Scale): string {
  const { startedAt, readyAt, invocations, signalAt, quitsAt, killedAt, goneAt } = phases;
  const bar = top + 22;
  const after = (at: number): number => shutdown.x(Math.max(0, at - signalAt));
  const count = invocations.length;
  const leaked = run.outcomes.includes("leaked");
  const opened = run.outcomes.length > 0;
  // The connection of the last invocation stays until COM_QUIT, until the process is gone, or for hours.
  const heldUntil = leaked ? SHUTDOWN.to : after(Math.max(...(quitsAt.length > 0 ? quitsAt : [goneAt])));
  const quit = quitsAt.at(-1);
  return [
    text(LIFE.from, top + 13, "ink strong", shortened(run.subject, 40)),
    rect("idle", LIFE.from, lifecycle.x(signalAt), bar + 6, 6),
    rect("init", lifecycle.x(startedAt), lifecycle.x(readyAt), bar, 18),
    ...invocations.map(({ from, to }) => rect("invoke", lifecycle.x(from), lifecycle.x(to), bar, 18)),
    text(
      LIFE.from,
      bar + 36,
      "soft",
      `${initOf(run, readyAt - startedAt)}, ${count} ${count === 1 ? "invocation" : "invocations"}`,
    ),
    ...(run.logIn === undefined ? [] : [text(LIFE.from, bar + 52, "soft", `log-in: ${logInCell(run.logIn)}`)]),
    `<path class="mark" d="M${SHUTDOWN.from} ${top + 4}V${bar + 48}" stroke-dasharray="3 3"/>`,
    rect("ending", SHUTDOWN.from, after(goneAt), bar, 18),
    ...(killedAt === undefined
      ? []
      : [`<path class="mark" stroke-width="2" d="M${round(after(killedAt) - 5)} ${bar + 4}l10 10m0 -10l-10 10"/>`]),
    ...(opened ? [rect(leaked ? "bad" : "good", SHUTDOWN.from, heldUntil, bar + 22, 6)] : []),
    ...(quit === undefined
      ? []
      : [
          `<path class="good" d="M${round(after(quit))} ${bar - 1}l-5 -8h10z"/>`,
          text(after(quit) + 9, bar - 3, "good", `COM_QUIT + ${milliseconds(quit - signalAt)} ms`),
        ]),
    text(SHUTDOWN.from + 6, bar + 45, leaked ? "bad" : "ink", sentence(run, phases)),
  ].join("\n");
}

/** Init of the run that is drawn, or the median and the spread where it was measured more than once. */
function initOf({ inits = [] }: Run, drawnMs: number): string {
  if (inits.length < 2) return `Init ${milliseconds(drawnMs)} ms (one run)`;
  const [least, median, most] = [0, 0.5, 1].map((share) => milliseconds(percentile(inits, share)));
  return `Init ${median} ms (p50 of ${inits.length}, ${least}–${most})`;
}

function sentence({ shutdown, outcomes }: Run, { signal }: Phases): string {
  const count = (outcome: string): number => outcomes.filter((each) => each === outcome).length;
  const outcome = [
    ...(count("closed") > 0 ? [`${count("closed")} closed`] : []),
    ...(count("aborted") > 0 ? [`${count("aborted")} aborted`] : []),
    ...(count("leaked") > 0 ? [`${count("leaked")} leaked until wait_timeout`] : []),
  ];
  const ending = shutdown.endedBy === "itself" ? "left by itself" : shutdown.endedBy;
  return `${ending.startsWith(signal) ? "" : `${signal}, `}${ending}; ${outcome.join(", ") || "no connection"}.`;
}

function legend(): string {
  const square =
    (name: string) =>
    (x: number, y: number): string =>
      rect(name, x, x + 12, y, 12);
  const rows: readonly (readonly (readonly [mark: (x: number, y: number) => string, label: string])[])[] = [
    [
      [(x, y) => rect("idle", x, x + 12, y + 3, 6), "extensions start, or idle"],
      [square("init"), "Init"],
      [square("invoke"), "Invoke"],
      [square("ending"), "Shutdown: the process lives on"],
      [(x, y) => `<path class="mark" d="M${x + 6} ${y - 1}v14" stroke-dasharray="3 3"/>`, "first signal"],
    ],
    [
      [(x, y) => `<path class="good" d="M${x + 6} ${y + 10}l-5 -8h10z"/>`, "COM_QUIT"],
      [(x, y) => `<path class="mark" stroke-width="2" d="M${x + 1} ${y + 1}l10 10m0 -10l-10 10"/>`, "SIGKILL"],
      [(x, y) => rect("good", x, x + 12, y + 3, 6), "the server holds the connection"],
      [(x, y) => rect("bad", x, x + 12, y + 3, 6), "the server holds it until wait_timeout"],
    ],
  ];
  return rows
    .flatMap((entries, row) => {
      let x = LIFE.from;
      const y = 20 + 22 * row;
      return entries.map(([mark, label]) => {
        const here = x;
        x += 40 + label.length * 7.6;
        return mark(round(here), y) + text(here + 18, y + 11, "ink", label);
      });
    })
    .join("");
}

interface Scale {
  readonly panel: Panel;
  readonly until: number;
  readonly x: (ms: number) => number;
}

function scale(panel: Panel, until: number): Scale {
  return { panel, until, x: (ms) => panel.from + (Math.min(ms, until) / until) * (panel.to - panel.from) };
}

function axis({ panel, until, x }: Scale, y: number, label: string): string {
  const power = 10 ** Math.floor(Math.log10(until));
  const step = [0.1, 0.2, 0.5, 1].map((part) => part * power).find((each) => until / each <= 6) ?? power;
  const ticks = Array.from({ length: Math.floor(until / step) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
  return [
    `<path class="grid" d="M${panel.from} ${y}H${panel.to}"/>`,
    ...ticks.map(
      (tick) =>
        `<path class="grid" d="M${round(x(tick))} ${y}v5"/>${text(x(tick), y + 18, "soft", String(tick), tick === 0 ? "start" : "middle")}`,
    ),
    text(panel.to, y - 6, "soft", label, "end"),
  ].join("\n");
}

function rect(className: string, from: number, to: number, y: number, height: number): string {
  const width = Math.max(FEWEST_PIXELS, to - from);
  return `<rect class="${className}" x="${round(from)}" y="${y}" width="${round(width)}" height="${height}" rx="2"/>`;
}

function text(x: number, y: number, className: string, content: string, anchor = "start"): string {
  return `<text class="${className}" x="${round(x)}" y="${y}" text-anchor="${anchor}">${escape(content)}</text>`;
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
