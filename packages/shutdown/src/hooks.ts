import { now } from "./clock.ts";
import { loggable, messageOf } from "./loggable.ts";

/** What a hook gets: how long it has. */
export interface ShutdownContext {
  /** Aborted when the time for hooks is over; the process leaves right after. */
  readonly signal: AbortSignal;
  /** Milliseconds until {@link signal} aborts, never below 0. */
  readonly remainingMs: () => number;
}

/** A cleanup. The numbers, strings and booleans of a plain object that it resolves with go into the line at the end. */
export type ShutdownHook = (context: ShutdownContext) => unknown;

export interface HookOptions {
  /**
   * Names of hooks that start only when this hook has settled. They start when half of the time is over in any case, so
   * that a hook that hangs does not keep them from running.
   * @default none
   */
  readonly before?: string | readonly string[];
}

export interface Registration {
  readonly name: string;
  readonly hook: ShutdownHook;
  readonly before?: readonly string[];
}

/** One hook's entry in the line that is logged at the end. */
export interface HookReport {
  readonly name: string;
  readonly result: "done" | "failed" | "gave up";
  readonly ms: number;
  readonly error?: string;
}

/** The hooks while they run. */
export interface HookRun {
  /** In the order in which the hooks started. Settles when each hook has, or when the time is over. Never rejects. */
  readonly reports: Promise<readonly HookReport[]>;
  /** Call it when `registrations` has grown. New hooks start soon, unless the run is over. */
  readonly registered: () => void;
}

/** Starts each hook that need not wait for another one before it returns. */
export function runHooks(registrations: readonly Registration[], timeMs: number): HookRun {
  const deadline = now() + timeMs;
  const remainingMs = (): number => Math.max(0, deadline - now());
  const over = new AbortController();
  const context = { signal: over.signal, remainingMs };
  const began = new Map<Registration, number>();
  const reports = new Map<Registration, HookReport>();
  let isOver = false;
  let resolveReports: (reports: readonly HookReport[]) => void;
  const allReports = new Promise<readonly HookReport[]>((resolve) => (resolveReports = resolve));

  const settle = (registration: Registration, result: HookReport["result"], detail: unknown): void => {
    const { name } = registration;
    const own = { name, result, ms: round(now() - (began.get(registration) ?? now())) };
    if (!reports.has(registration)) reports.set(registration, { ...own, ...loggable(detail), ...own });
  };
  const finish = (): void => {
    isOver = true;
    clearTimeout(halfTime);
    clearTimeout(fullTime);
    resolveReports([...began.keys()].flatMap((registration) => reports.get(registration) ?? []));
  };
  const finishIfAllSettled = (): void => {
    if (registrations.every((registration) => reports.has(registration))) finish();
  };
  const start = (registration: Registration): void => {
    began.set(registration, now());
    void outcome(registration, context).then(([result, detail]) => {
      settle(registration, result, detail);
      startThoseDue();
      finishIfAllSettled();
    });
  };
  const mustWait = ({ name }: Registration): boolean =>
    registrations.some((other) => other.name !== name && other.before?.includes(name) === true && !reports.has(other));
  const startThoseDue = (waitingToo = false): void => {
    if (isOver) return;
    for (const registration of registrations.toReversed()) {
      if (!began.has(registration) && (waitingToo || !mustWait(registration))) start(registration);
    }
  };

  // Set before the first hook runs, so that the timers are due even if a hook blocks the event loop.
  const halfTime = setTimeout(startThoseDue, timeMs / 2, true);
  const fullTime = setTimeout(() => {
    startThoseDue(true);
    over.abort();
    // Two turns of the event loop later. Hooks that settle because of the signal have settled by then.
    setImmediate(() =>
      setImmediate(() => {
        for (const registration of began.keys()) settle(registration, "gave up", {});
        finish();
      }),
    );
  }, timeMs);
  startThoseDue();
  finishIfAllSettled();
  return {
    reports: allReports,
    registered: () => {
      queueMicrotask(startThoseDue); // not at once: what the hook closes may be declared after it
    },
  };
}

async function outcome({ hook }: Registration, context: ShutdownContext): Promise<["done" | "failed", unknown]> {
  try {
    return ["done", await hook(context)];
  } catch (error) {
    return ["failed", { error: messageOf(error) }];
  }
}

export function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
