import { faultsOf, survived } from "./claims";
import { coldRatio, type ColdStart } from "./cold-start";
import { distribution } from "./distribution";
import type { SubjectKey } from "./subjects";
import type { Figures } from "./figures";
import { apart, ratio } from "./lifecycles";

type Cells = readonly string[];

const COLUMNS: Readonly<Record<Exclude<SubjectKey, "leaves" | "floor">, string>> = {
  ours: "this function",
  internal: "internal extension",
  article: "the article's way",
  closeWithGrace: "close-with-grace",
  bare: "mysql2 alone",
  noExtension: "no extension",
};

type Column = keyof typeof COLUMNS;
const SUBJECTS = Object.keys(COLUMNS) as Column[];

const PLAYED: readonly Column[] = ["ours", "article", "closeWithGrace", "bare"];

/** The figures that the README gives: the head of a table and its rows. */
export function summary(figures: Figures): readonly Cells[] {
  const { lifecycles, warm, code } = figures;
  const each = (label: string, cell: (subject: Column) => string): Cells => [label, ...SUBJECTS.map(cell)];
  const some = (label: string, cells: Partial<Record<Column, string>>): Cells =>
    each(label, (subject) => cells[subject] ?? "");
  const isKilled = (subject: Column): boolean => lifecycles[subject].endings["SIGKILL at once"] !== undefined;
  return [
    each("", (subject) => COLUMNS[subject]),
    each("SIGTERM → process gone, p50 / p99 (ms)", (subject) =>
      isKilled(subject)
        ? "killed"
        : `${lifecycles[subject].gone.p50.toFixed(1)} / ${lifecycles[subject].gone.p99.toFixed(1)}`,
    ),
    each("÷ the same code that only leaves, p50", (subject) =>
      isKilled(subject) ? "" : apart("gone", lifecycles[subject], lifecycles.leaves, ratio).toFixed(1),
    ),
    each("connections: closed / aborted / leaked", (subject) => {
      const { closed, aborted, leaked } = lifecycles[subject];
      return `${closed} / ${aborted} / ${leaked}`;
    }),
    each("Init to the first `/next`, p50 (ms)", (subject) => lifecycles[subject].init.p50.toFixed(1)),
    ...coldStartRows(figures, some),
    some("warm invocation ÷ mysql2 alone, p50", {
      ours: (warm.ours.invocation.p50 / warm.bare.invocation.p50).toFixed(3),
      bare: "1",
    }),
    some("zip (bytes)", {
      ours: code.ours.zipBytes.toLocaleString("en"),
      article: code.article.zipBytes.toLocaleString("en"),
    }),
    each(`of ${faultsOf(figures)} faults, left nothing wrong`, (subject) =>
      PLAYED.includes(subject) ? String(survived(figures, COLUMNS[subject])) : "",
    ),
  ];
}

type Row = (label: string, cells: Partial<Record<Column, string>>) => Cells;

function coldStartRows({ coldStarts }: Figures, row: Row): readonly Cells[] {
  if (coldStarts === undefined) return [];
  const { secretTls, passwordTls, awsDocs } = coldStarts.whole;
  const times = (theirs: ColdStart): string => coldRatio("answered", secretTls, theirs).toFixed(2);
  return [
    row("cold start → first answer, secret and TLS, p50 (ms)", {
      ours: distribution(secretTls.answered).p50.toFixed(1),
    }),
    row("÷ the same with a password and TLS", { ours: times(passwordTls) }),
    row("÷ a handler as AWS's documentation has it", { ours: times(awsDocs) }),
  ];
}

export function markdown([head = [], ...rows]: readonly Cells[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
