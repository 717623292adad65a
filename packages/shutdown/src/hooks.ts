import { now, round } from "./clock.ts";
import { loggable, messageOf } from "./loggable.ts";
import { LAST_MS } from "./shutdown-time.ts";
import { UniqueNames } from "./unique-names.ts";

/** What a hook gets: how long it has. */
export interface ShutdownContext {
  /** Aborts when the time for hooks is over. The process exits right after. */
  readonly signal: AbortSignal;
  /** Milliseconds until {@link signal} aborts; never below 0. */
  readonly remainingMs: () => number;
}

/** A cleanup. The numbers, strings and booleans of a plain object that it resolves with go into the line at the end. */
export type ShutdownHook = (context: ShutdownContext) => unknown;

export interface HookOptions {
  /**
   * Names of hooks that start only when this hook has settled, or when half of the time is over.
   * @default none
   */
  readonly before?: string | readonly string[];
}

export interface Registration {
  readonly name: string;
  readonly hook: ShutdownHook;
  readonly before?: readonly string[];
  /** A group that other hooks can wait for, and the group that waits for this hook. @default none */
  readonly group?: string;
  readonly beforeGroup?: string;
  /** Others wait for this hook until little time is left. @default - until half of the time is over */
  readonly holdsToTheEnd?: true;
}

/** One hook's entry in the line that is logged at the end. */
export interface HookReport {
  readonly name: string;
  readonly result: "done" | "failed" | "gave up";
  readonly ms: number;
  readonly error?: string;
  /** Names in its `before` that no hook has. */
  readonly unknownBefore?: string;
}

/** What the hooks of one name, or of one group, wait for. */
interface Gate {
  /** How many unsettled hooks keep it closed. */
  count: number;
  holdsToTheEnd?: true;
  readonly waiting: Entry[];
}

/** A hook in a run. */
interface Entry extends Registration {
  /** The hook's name, numbered if an earlier hook has the same one. */
  readonly label: string;
  /** Closed until this hook has settled. */
  readonly blocks: readonly Gate[];
  /** Of its name and its group. */
  readonly gates: readonly Gate[];
  startedAt?: number;
  report?: HookReport;
}

/** Milliseconds of hooks that start in one turn of the event loop. The rest starts in the next turns. */
const SLICE_MS = 20;

/** The hooks while they run. Its work grows with the number of hooks, not with its square. */
export class HookRun {
  /** In the order in which the hooks started. Settles when each hook has, or when the time is over. Never rejects. */
  readonly reports: Promise<readonly HookReport[]>;
  private readonly entries: Entry[] = [];
  private readonly started = new Set<Entry>();
  private readonly labels = new UniqueNames();
  private readonly gates = new Map<string, Gate>();
  private readonly over = new AbortController();
  private readonly context: ShutdownContext;
  private readonly timers: NodeJS.Timeout[];
  private isOver = false;
  /** Whatever waits for others has waited long enough. */
  isHalfOver = false;
  private resolve: (reports: readonly HookReport[]) => void = () => undefined;
  /** Hooks that have not settled. */
  unsettled = 0;

  constructor(registrations: readonly Registration[], timeMs: number) {
    const end = now() + timeMs;
    this.context = { signal: this.over.signal, remainingMs: () => Math.max(0, end - now()) };
    this.reports = new Promise((resolve) => (this.resolve = resolve));
    for (const registration of registrations) this.enter(registration);
    // Set before the first hook runs, so that the timers are due even if a hook blocks the event loop.
    this.timers = [timeMs / 2, Math.max(timeMs / 2, timeMs - LAST_MS), timeMs].map((ms, step) =>
      setTimeout(() => {
        this.startWaiting(step);
      }, ms),
    );
  }

  /** Starts each hook that need not wait for another one before it returns. */
  begin(): void {
    this.start(this.entries.slice());
    this.finishIfSettled();
  }

  /** A hook that is registered during the run starts in a later turn: what it closes may be declared after it. */
  add(registration: Registration): void {
    if (this.isOver) return;
    const entry = this.enter(registration);
    setImmediate(() => {
      this.start([entry]);
    });
  }

  /** Ends the run in this turn: the event loop does not get to its timers. */
  finish(): readonly HookReport[] {
    this.isOver = true;
    this.over.abort(); // what can be done in this turn is done
    this.timers.forEach(clearTimeout);
    for (const entry of this.entries) this.started.add(entry); // those that had no turn to start
    const reports = [...this.started].map((entry) => entry.report ?? this.report(entry, "gave up", {}));
    this.resolve(reports);
    return reports;
  }

  private enter(registration: Registration): Entry {
    const { name, group = name, before = [], beforeGroup, holdsToTheEnd } = registration;
    const keys = new Set(before).add(beforeGroup ?? name);
    keys.delete(name);
    const blocks = [...keys].map((key) => this.gate(key));
    for (const gate of blocks) {
      gate.count += 1;
      if (holdsToTheEnd) gate.holdsToTheEnd = true;
    }
    const gates = [this.gate(name), this.gate(group)];
    const entry = { ...registration, label: this.labels.next(name), blocks, gates };
    this.entries.push(entry);
    this.unsettled += 1;
    return entry;
  }

  private gate(key: string): Gate {
    const gate = this.gates.get(key) ?? { count: 0, waiting: [] };
    this.gates.set(key, gate);
    return gate;
  }

  /** Starts the hooks that need not wait, the last one first. */
  private start(entries: Entry[]): void {
    const sliceEnd = now() + SLICE_MS;
    for (let entry = entries.pop(); entry && !this.isOver; entry = entries.pop()) {
      const gate = entry.gates.find(({ count }) => count > 0);
      if (gate) gate.waiting.push(entry);
      else this.startOne(entry);
      if (now() > sliceEnd) {
        setImmediate(() => {
          this.start(entries);
        });
        return;
      }
    }
  }

  /** Starts the hooks that have waited long enough. When the whole time is over, tells all. */
  private startWaiting(step: number): void {
    this.isHalfOver = true;
    for (const entry of this.entries.toReversed())
      if (step > 0 || !entry.gates.some((gate) => gate.holdsToTheEnd)) this.startOne(entry);
    if (step < 2) return;
    this.over.abort();
    // Two turns of the event loop later. Hooks that settle because of the signal have settled by then.
    setImmediate(() => setImmediate(() => this.finish()));
  }

  private startOne(entry: Entry): void {
    if (this.started.has(entry)) return;
    this.started.add(entry);
    entry.startedAt = now();
    void outcome(entry, this.context).then(([result, detail]) => {
      this.settle(entry, result, detail);
    });
  }

  private settle(entry: Entry, result: HookReport["result"], detail: unknown): void {
    if (this.isOver) return;
    entry.report = this.report(entry, result, detail);
    this.unsettled -= 1;
    for (const gate of entry.blocks) {
      gate.count -= 1;
      if (gate.count === 0) this.start(gate.waiting.splice(0).reverse());
    }
    this.finishIfSettled();
  }

  private report({ label, before, startedAt }: Entry, result: HookReport["result"], detail: unknown): HookReport {
    const report: HookReport = { name: label, result, ms: round(now() - (startedAt ?? now())) };
    const unknown = before?.filter((name) => !this.labels.has(name)).join(", ");
    return { ...report, ...loggable(detail), ...report, unknownBefore: unknown || undefined };
  }

  private finishIfSettled(): void {
    if (this.unsettled === 0) this.finish();
  }
}

async function outcome({ hook }: Entry, context: ShutdownContext): Promise<["done" | "failed", unknown]> {
  try {
    return ["done", await hook(context)];
  } catch (error) {
    return ["failed", { error: messageOf(error) }];
  }
}
