import { FAULTS } from "../lab/faults/faults";
import { faultsOf } from "./claims";
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
      isKilled(subject) ? "killed" : `${ms(lifecycles[subject].gone.p50)} / ${ms(lifecycles[subject].gone.p99)}`,
    ),
    each("÷ the same code that only leaves, p50", (subject) =>
      isKilled(subject) ? "" : apart("gone", lifecycles[subject], lifecycles.leaves, ratio).toFixed(1),
    ),
    each("connections: closed / aborted / leaked", (subject) => {
      const { closed, aborted, leaked } = lifecycles[subject];
      return `${closed} / ${aborted} / ${leaked}`;
    }),
    each("Init to the first `/next`, p50 (ms)", (subject) => ms(lifecycles[subject].init.p50)),
    ...coldStartRows(figures, some),
    some("warm invocation ÷ mysql2 alone, p50", {
      ours: (warm.ours.invocation.p50 / warm.bare.invocation.p50).toFixed(2),
      bare: "1",
    }),
    some("zip (bytes)", {
      ours: code.ours.zipBytes.toLocaleString("en"),
      article: code.article.zipBytes.toLocaleString("en"),
    }),
    ...faultRows(figures, each),
  ];
}

/** No decimals below the noise. */
function ms(time: number): string {
  return time.toFixed(time < 10 ? 1 : 0);
}

/** Each fault is in one of the rows. */
function faultRows(
  figures: Figures,
  each: (label: string, cell: (subject: Column) => string) => Cells,
): readonly Cells[] {
  const needsApi = new Set(FAULTS.flatMap(({ name, needs }) => (needs?.includes("the faults' events") ? name : [])));
  const kindOf = ({ fault, problems }: Figures["faults"][number]): string => {
    if (problems.length === 0) return "nothing was wrong";
    if (needsApi.has(fault)) return "… needs hooks or events of this project, and something was wrong";
    const isKilledOnly = problems.length === 1 && problems[0]?.startsWith("end of the process: SIGKILL") === true;
    return isKilledOnly ? "… killed at the deadline, nothing else was wrong" : "… something was wrong";
  };
  const kinds = figures.faults.map((fault) => ({ subject: fault.function, kind: kindOf(fault) }));
  return [...new Set(kinds.map(({ kind }) => kind))].sort(byLabel).map((kind) =>
    each(kind.startsWith("…") ? kind : `of ${faultsOf(figures)} faults: ${kind}`, (column) => {
      const { length } = kinds.filter((each) => each.kind === kind && each.subject === COLUMNS[column]);
      return PLAYED.includes(column) ? String(length) : "";
    }),
  );
}

/** "nothing was wrong" first. */
function byLabel(one: string, other: string): number {
  return Number(one.startsWith("…")) - Number(other.startsWith("…")) || one.localeCompare(other);
}

type Row = (label: string, cells: Partial<Record<Column, string>>) => Cells;

function coldStartRows({ coldStarts }: Figures, row: Row): readonly Cells[] {
  if (coldStarts === undefined) return [];
  const { secretTls, passwordTls, awsDocs } = coldStarts.whole;
  const times = (theirs: ColdStart): string => coldRatio("answered", secretTls, theirs).toFixed(2);
  return [
    row("cold start → first answer, secret and TLS, p50 (ms)", {
      ours: ms(distribution(secretTls.answered).p50),
    }),
    row("÷ the same with a password and TLS", { ours: times(passwordTls) }),
    row("÷ a handler as AWS's documentation has it", { ours: times(awsDocs) }),
  ];
}

export function markdown([head = [], ...rows]: readonly Cells[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
