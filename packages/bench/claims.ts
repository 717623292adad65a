import { coldRatio, type ColdStarts } from "./cold-start";
import { OURS, type Figures } from "./figures";
import { apart, difference, ratio } from "./lifecycles";

export interface Claim {
  readonly text: string;
  readonly unit: "" | "ms" | "s" | "bytes";
  readonly value: (figures: Figures) => number;
  /** What it must not exceed; `equal` where anything else contradicts. */
  readonly limit: (figures: Figures) => number;
  readonly equal?: true;
}

/** The project's own budgets. One that is not kept is printed as such, not left out. */
const CLAIMS: readonly Claim[] = [
  atMost("SIGTERM → process gone, idle, p50", "ms", 25, ({ lifecycles }) => lifecycles.ours.gone.p50),
  atMost("SIGTERM → process gone, idle, p99", "ms", 60, ({ lifecycles }) => lifecycles.ours.gone.p99),
  atMost("… p50 ÷ the same code that only leaves", "", 1.35, ({ lifecycles }) =>
    apart("gone", lifecycles.ours, lifecycles.leaves, ratio),
  ),
  equal(
    "the article's way: environments that end by SIGKILL at its deadline",
    ({ lifecycles: { article } }) => article.endings["SIGKILL at its deadline"] ?? 0,
    ({ lifecycles: { article } }) => article.gone.count,
  ),
  none("connections aborted", ({ lifecycles }) => lifecycles.ours.aborted + lifecycles.ours.abortedClients),
  none("connections leaked", ({ lifecycles }) => lifecycles.ours.leaked),
  equal(
    "no extension: connections leaked",
    ({ lifecycles: { noExtension } }) => noExtension.leaked,
    ({ lifecycles: { noExtension: all } }) => all.closed + all.aborted + all.leaked,
  ),
  atMost("Init ÷ the article's, p50", "", 0.85, ({ lifecycles }) =>
    apart("init", lifecycles.ours, lifecycles.article, ratio),
  ),
  atMost("Init − mysql2 alone, p50", "ms", 3, ({ lifecycles }) =>
    apart("init", lifecycles.ours, lifecycles.bare, difference),
  ),
  atMost("… with the internal extension", "ms", 10, ({ lifecycles }) =>
    apart("init", lifecycles.internal, lifecycles.bare, difference),
  ),
  atMost(
    "warm invocation ÷ mysql2 alone, p50",
    "",
    1.03,
    ({ warm }) => warm.ours.invocation.p50 / warm.bare.invocation.p50,
  ),
  equal("faults after which nothing was wrong", (figures) => survived(figures, OURS), faultsOf),
];

const COLD_START_CLAIMS: readonly Claim[] = [
  ofColdStarts("first answer with secret and TLS ÷ with password and TLS, p50", 1.15, ({ secretTls, passwordTls }) =>
    coldRatio("answered", secretTls, passwordTls),
  ),
  ofColdStarts("… ÷ a handler as AWS's documentation has it, p50", 0.5, ({ secretTls, awsDocs }) =>
    coldRatio("answered", secretTls, awsDocs),
  ),
  ofColdStarts("Init with password ÷ an empty handler's, p50", 1.75, ({ password, floor }) =>
    coldRatio("ready", password, floor),
  ),
  atMost("zip", "bytes", 370_000, ({ code }) => code.ours.zipBytes),
];

export function claimsOf({ coldStarts }: Figures): readonly Claim[] {
  return coldStarts === undefined ? CLAIMS : [...CLAIMS, ...COLD_START_CLAIMS];
}

function survived({ faults }: Figures, name: string): number {
  return faults.filter((each) => each.function === name && each.problems.length === 0).length;
}

export function faultsOf({ faults }: Figures): number {
  return new Set(faults.map(({ fault }) => fault)).size;
}

export function holds({ value, limit, equal }: Claim, figures: Figures): boolean {
  const [is, wanted] = [value(figures), limit(figures)];
  return equal === true ? is === wanted : is <= wanted;
}

function atMost(text: string, unit: Claim["unit"], limit: number, value: Claim["value"]): Claim {
  return { text, unit, value, limit: () => limit };
}

function ofColdStarts(text: string, limit: number, value: (starts: ColdStarts["whole"]) => number): Claim {
  return atMost(text, "", limit, ({ coldStarts }) => (coldStarts === undefined ? NaN : value(coldStarts.whole)));
}

function none(text: string, value: Claim["value"]): Claim {
  return equal(text, value, () => 0);
}

function equal(text: string, value: Claim["value"], limit: Claim["limit"]): Claim {
  return { text, unit: "", value, limit, equal: true };
}
