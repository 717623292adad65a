import { quantileSorted } from "simple-statistics";

export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function distribution(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number): number => quantileSorted(sorted, q);
  return { count: values.length, min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) };
}
