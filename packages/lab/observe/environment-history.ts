/** What CloudWatch has of a function: when environments began, and the lines that they wrote at their shutdown. */
export interface LogEvent {
  readonly stream: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly message: string;
}

/** How an environment ended, as far as its log tells. */
export type EnvironmentEnd = "clean line" | "line with a problem" | "no line" | "not ended";

/** One execution environment: from its Init to its shutdown, or to the next Init in the same log stream. */
export interface Environment {
  readonly stream: string;
  /** Milliseconds since 1970. @default - it began before the time that was read */
  readonly beganAt: number | undefined;
  readonly end: EnvironmentEnd;
  /** Of the shutdown, as the line says. */
  readonly durationMs: number | undefined;
  /** Each hook that was not done, and what was held back. */
  readonly problems: readonly string[];
}

interface Line {
  readonly event?: string;
  readonly type?: string;
  readonly durationMs?: number;
  readonly hooks?: readonly { readonly name: string; readonly result: string }[];
  readonly heldBack?: readonly { readonly what: string }[];
}

/** An environment whose end is not known yet. */
interface Open {
  readonly stream: string;
  readonly beganAt: number | undefined;
}

/**
 * Lambda writes INIT_START when an environment begins, and when it begins again after a reset:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
 *
 * @param lastEvents when each stream got its last event, milliseconds since 1970
 * @param silentSince an environment that wrote nothing since then has ended; a younger one may be frozen
 */
export function environments(
  events: readonly LogEvent[],
  lastEvents: ReadonlyMap<string, number>,
  silentSince: number,
): readonly Environment[] {
  const open = new Map<string, Open>();
  const ended: Environment[] = [];
  for (const { stream, timestamp, message } of [...events].sort((a, b) => a.timestamp - b.timestamp)) {
    const line = parsed(message);
    if (message.startsWith("INIT_START") || line?.type === "platform.initStart") {
      const before = open.get(stream);
      if (before !== undefined) ended.push(withoutLine(before, "no line"));
      open.set(stream, { stream, beganAt: timestamp });
    } else if (line?.event === "shutdown") {
      ended.push(withLine(open.get(stream) ?? { stream, beganAt: undefined }, line));
      open.delete(stream);
    }
  }
  const rest = [...open.values()].map((each) => {
    const last = lastEvents.get(each.stream) ?? each.beganAt ?? 0;
    return withoutLine(each, last < silentSince ? "no line" : "not ended");
  });
  return [...ended, ...rest];
}

function parsed(message: string): Line | undefined {
  if (!message.startsWith("{")) return undefined;
  try {
    return JSON.parse(message) as Line;
  } catch {
    return undefined; // Another line of the function, cut off by Lambda at its largest size.
  }
}

function withoutLine(open: Open, end: "no line" | "not ended"): Environment {
  return { ...open, end, durationMs: undefined, problems: [] };
}

function withLine(open: Open, { hooks = [], heldBack = [], durationMs }: Line): Environment {
  const notDone = hooks.filter(({ result }) => result !== "done").map(({ name, result }) => `${name}: ${result}`);
  const problems = [...notDone, ...heldBack.map(({ what }) => `held back: ${what}`)];
  return { ...open, end: notDone.length === 0 ? "clean line" : "line with a problem", durationMs, problems };
}
