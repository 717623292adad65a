import type { Verdict, VerdictKind } from "../runs/verdict";

/** Of a process that a signal has ended, as a shell gives them. */
export const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;
export const STOPPED_BY_ERROR = 1;
export const WRONG_USAGE = 2;

/** A command without a verdict must look neither good nor bad. */
const CODES: Readonly<Record<VerdictKind, number>> = {
  clean: 0,
  "not clean": 1,
  "no database seen": 3,
  "not proven here": 3,
  "could not be invoked": 3,
};

export const EXIT_CODES = `
Exit code: 0 clean, 1 not clean or stopped by an error, 2 wrong usage, 3 no verdict (no database seen, not proven here, could not be invoked), 130 or 143 interrupted.`;

export function exitCodeOf({ kind }: Pick<Verdict, "kind">): number {
  return CODES[kind];
}
