import { faultsOf, survived } from "./claims";
import type { Contestant } from "./contestants";
import type { Figures } from "./figures";
import { apart, ratio } from "./lives";

type Cells = readonly string[];

const COLUMNS: Readonly<Record<Exclude<Contestant, "leaves" | "floor">, string>> = {
  ours: "this function",
  internal: "internal extension",
  article: "the article's way",
  closeWithGrace: "close-with-grace",
  bare: "mysql2 alone",
  noExtension: "no extension",
};

const WAYS = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];

/** The figures that the README gives: the head of a table and its rows. */
export function summary(figures: Figures): readonly Cells[] {
  const { lives, warm, code } = figures;
  const each = (label: string, cell: (way: keyof typeof COLUMNS) => string): Cells => [label, ...WAYS.map(cell)];
  const some = (label: string, cells: Partial<Record<keyof typeof COLUMNS, string>>): Cells =>
    each(label, (way) => cells[way] ?? "");
  const isKilled = (way: keyof typeof COLUMNS): boolean => lives[way].endings["SIGKILL at once"] !== undefined;
  return [
    each("", (way) => COLUMNS[way]),
    each("SIGTERM → process gone, p50 / p99 (ms)", (way) =>
      isKilled(way) ? "killed" : `${lives[way].gone.p50.toFixed(1)} / ${lives[way].gone.p99.toFixed(1)}`,
    ),
    each("÷ the same code that only leaves, p50", (way) =>
      isKilled(way) ? "" : apart("gone", lives[way], lives.leaves, ratio).toFixed(1),
    ),
    each("connections: clean / aborted / leaked", (way) => {
      const { clean, aborted, leaked } = lives[way];
      return `${clean} / ${aborted} / ${leaked}`;
    }),
    each("Init to the first `/next`, p50 (ms)", (way) => lives[way].init.p50.toFixed(1)),
    some("warm invocation ÷ mysql2 alone, p50", {
      ours: (warm.ours.invocation.p50 / warm.bare.invocation.p50).toFixed(3),
      bare: "1",
    }),
    some("zip (bytes)", {
      ours: code.ours.zipBytes.toLocaleString("en"),
      article: code.article.zipBytes.toLocaleString("en"),
    }),
    some(`of ${faultsOf(figures)} faults, left nothing wrong`, {
      ours: String(survived(figures, COLUMNS.ours)),
      article: String(survived(figures, COLUMNS.article)),
      closeWithGrace: String(survived(figures, COLUMNS.closeWithGrace)),
      bare: String(survived(figures, COLUMNS.bare)),
    }),
  ];
}

/** As Markdown, for the README. */
export function markdown([head = [], ...rows]: readonly Cells[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
