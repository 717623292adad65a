import { KILLED } from "./environment-process";
import { UNHEARD, type ShutdownResult, type TimelineEntry } from "./execution-environment";

/** How a runtime's process was made to end. */
export interface Ending {
  readonly endedBy: ShutdownResult["endedBy"];
  /** It got SIGTERM without listening to it. @default - it listened, or nobody can tell */
  readonly unheard?: true;
  /** Milliseconds from the signal to the end of the process. */
  readonly goneMs: number;
  /** When the signal was sent, in milliseconds since the environment was created; NaN if none was that can be heard. */
  readonly signalAt: number;
  /** Milliseconds that the process had until SIGKILL. @default - it was not killed */
  readonly killedAfterMs?: number;
}

/** The last time that a runtime was told to end, whether by a reset or for good. */
export function endingOf(timeline: readonly TimelineEntry[]): Ending {
  const lastLife = timeline.slice(
    Math.max(
      0,
      timeline.findLastIndex(({ what }) => what.startsWith("runtime started")),
    ),
  );
  const last = (what: string): number => lastLife.findLast((entry) => entry.what.startsWith(what))?.at ?? NaN;
  const inTurnAt = last("SIGTERM to the runtime");
  const outOfTurnAt = last("SIGTERM out of turn");
  const signalAt = Number.isNaN(outOfTurnAt) ? inTurnAt : outOfTurnAt;
  if (Number.isNaN(signalAt)) {
    const crashed = !Number.isNaN(last("Runtime.ExitError"));
    const wasKilled = !crashed && !Number.isNaN(last("no extension registered: SIGKILL"));
    return { goneMs: 0, endedBy: wasKilled ? "SIGKILL at once" : "gone before", signalAt };
  }
  // A runtime that an extra signal has ended gets no further signal. It was gone by then at the latest.
  const goneAt = Number.isNaN(inTurnAt) ? last("environment gone") : last("runtime gone");
  const killedAt = last("SIGKILL to the runtime");
  const isKilled = killedAt > signalAt && !Number.isNaN(last(`runtime gone (${KILLED}`));
  const wasUnheard = lastLife.some(({ what }) => what.startsWith("runtime gone") && what.includes(UNHEARD));
  if (isKilled) {
    return {
      goneMs: goneAt - signalAt,
      endedBy: "SIGKILL at its deadline",
      signalAt,
      killedAfterMs: killedAt - inTurnAt,
    };
  }
  // If SIGKILL found it ending, the kernel was freeing its memory, which takes milliseconds.
  const goneMs = (killedAt > signalAt ? Math.min(goneAt, killedAt) : goneAt) - signalAt;
  return { goneMs, endedBy: "itself", signalAt, ...(wasUnheard ? { unheard: true } : {}) };
}
