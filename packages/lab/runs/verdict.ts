import colors from "picocolors";
import type { LambdaError } from "../lambda/runtime-api";
import { firstLine } from "./one-line";
import type { Outcome } from "./outcome";
import type { RunResult } from "./run";
import type { TcpConnection } from "./tcp-connections";

/**
 * A command's result for a function: it gave everything back; it did not; it used no database that the lab watches; the
 * present runtime client cannot prove it; it answered no event.
 */
export type VerdictKind = "clean" | "not clean" | "no database seen" | "not proven here" | "could not be invoked";

export interface Verdict {
  readonly kind: VerdictKind;
  /** Whether {@link kind} is `clean`. */
  readonly clean: boolean;
  /** The reason, without a mark or a colour. */
  readonly sentence: string;
}

/** What was seen of one function, in one environment or in many. */
export interface Findings {
  readonly subject: string;
  /** @default - every Init succeeded */
  readonly initError?: LambdaError;
  /** Init timed out before anything of the function's began. @default false */
  readonly isLate?: boolean;
  readonly invocations: { readonly ok: number; readonly failed: number; readonly firstError?: LambdaError };
  readonly connections: {
    readonly opened: number;
    readonly closed: number;
    readonly aborted: number;
    readonly leaked: number;
  };
  /** What closed the connections, as their protocols call it. @default COM_QUIT */
  readonly goodbyes?: readonly string[];
  /** How often what ended the runtime's process. */
  readonly endings: Readonly<Record<string, number>>;
  /** Rise of the server's own counter. @default - the server has none */
  readonly abortedClients?: number;
  /** Why the lab cannot tell. @default - it can */
  readonly unproven?: keyof typeof UNPROVEN;
}

const UNPROVEN = {
  exit: "gave every connection back, but left by process.exit(), which hangs on AWS's runtime client, and that one is not here",
  encryption:
    "ended every connection, but some are encrypted up to the server, so the lab cannot see how their protocol closed them",
} as const;

/** Of many environments, so many may be late because the machine is busy: their budget is real time. */
const LATE_SHARE = 0.05;

/** The one place that decides what is clean, for every command. */
export function verdictOf(findings: Findings): Verdict {
  const { subject, initError, invocations, connections, endings } = findings;
  const { ok, failed, firstError } = invocations;
  const { opened, closed } = connections;
  const because =
    firstError === undefined ? "" : `${failed === 1 ? " with" : ", the first with"} ${inWords(firstError)}`;
  if (findings.isLate === true) {
    const why = "this machine was too busy to start the lab's own extension in time";
    return verdict("not proven here", `Init of ${subject} timed out before its runtime started, because ${why}`);
  }
  if (initError !== undefined) return verdict("not clean", `Init of ${subject} failed: ${inWords(initError)}`);
  if (ok === 0 && failed > 0 && opened === 0) {
    return verdict("could not be invoked", `${subject} could not be invoked: ${all(failed)} failed${because}`);
  }
  const facts = factsOf(findings);
  const ends = Object.values(endings).reduce((sum, count) => sum + count, 0);
  const killed = endings["SIGKILL at its deadline"] ?? 0;
  const goneBefore = endings["gone before"] ?? 0;
  if (connections.aborted + connections.leaked > 0 || closed < opened) {
    const also = failed > 0 ? `, ${plural(failed, "invocation")} failed${because}` : "";
    return verdict("not clean", `${subject} did not give every connection back${also}: ${facts}`);
  }
  if (failed > 0) {
    return verdict(
      "not clean",
      `${failed} of ${plural(ok + failed, "invocation")} of ${subject} failed${because}: ${facts}`,
    );
  }
  if (opened === 0) {
    return verdict(
      "no database seen",
      `${subject} opened no connection to a database that the lab watches, so there is no verdict: ${facts}`,
    );
  }
  if (goneBefore > 0 && goneBefore === ends) {
    return verdict("not clean", `the process of ${subject} was gone before any signal: ${facts}`);
  }
  if (killed > ends * LATE_SHARE) {
    return verdict(
      "not clean",
      `${subject} was killed at its deadline${ofMany(killed, ends)}, with every connection given back: ${facts}`,
    );
  }
  if (findings.unproven !== undefined) {
    return verdict("not proven here", `${subject} ${UNPROVEN[findings.unproven]}: ${facts}`);
  }
  return verdict("clean", `${subject} gave every connection back: ${facts}`);
}

/** What a run found, for {@link verdictOf}. */
export function findingsOf(
  result: Pick<RunResult, "subject" | "shutdown" | "outcomes" | "timeline" | "invocations"> & Partial<RunResult>,
): Findings {
  const { subject, initError, invocations, outcomes, shutdown, abortedClients } = result;
  const left =
    result.isLabClient === true && result.timeline.some(({ what }) => /^runtime gone \(exit status/.test(what));
  const unproven = left ? "exit" : isHidden(result) ? "encryption" : undefined;
  return {
    subject,
    ...(initError === undefined ? {} : { initError }),
    ...(result.isLate === true ? { isLate: true } : {}),
    invocations: invocationsOf(invocations),
    connections: connectionsOf(outcomes),
    endings: { [shutdown.endedBy]: 1 },
    ...(result.tcp === undefined || result.tcp.length === 0 ? {} : { goodbyes: goodbyesOf(outcomes, result.tcp) }),
    ...(abortedClients === undefined ? {} : { abortedClients }),
    ...(unproven === undefined ? {} : { unproven }),
  };
}

type Answered = { readonly ok: true } | { readonly ok: false; readonly error: LambdaError };

export function invocationsOf(invocations: readonly Answered[]): Findings["invocations"] {
  const errors = invocations.flatMap((each) => (each.ok ? [] : [each.error]));
  const [firstError] = errors;
  const counts = { ok: invocations.length - errors.length, failed: errors.length };
  return firstError === undefined ? counts : { ...counts, firstError };
}

export function connectionsOf(outcomes: readonly Outcome[]): Findings["connections"] {
  const count = (wanted: Outcome): number => outcomes.filter((outcome) => outcome === wanted).length;
  return { opened: outcomes.length, closed: count("closed"), aborted: count("aborted"), leaked: count("leaked") };
}

/** The lab cannot see how a connection was closed. */
export function isHidden({ tcp = [] }: Pick<RunResult, "tcp">): boolean {
  return tcp.some((connection) => connection.isHidden === true);
}

/** Of a run. */
export function runVerdict(result: RunResult): Verdict {
  return verdictOf(findingsOf(result));
}

const MARKS: Readonly<Record<VerdictKind, (text: string) => string>> = {
  clean: (text) => colors.green(`✓ ${text}`),
  "not clean": (text) => colors.red(`✗ ${text}`),
  "no database seen": (text) => colors.yellow(`– ${text}`),
  "not proven here": (text) => colors.yellow(`– ${text}`),
  "could not be invoked": (text) => colors.yellow(`– ${text}`),
};

/** The verdict as a line for a terminal. */
export function verdictLine({ kind, sentence }: Verdict): string {
  return MARKS[kind](`${sentence}.`);
}

function verdict(kind: VerdictKind, sentence: string): Verdict {
  return { kind, clean: kind === "clean", sentence };
}

/** Those of MySQL come first in {@link RunResult.outcomes}. A Redis client may leave with FIN alone. */
function goodbyesOf(outcomes: readonly Outcome[], tcp: readonly TcpConnection[]): readonly string[] {
  const isMysqlClosed = outcomes.slice(0, outcomes.length - tcp.length).includes("closed");
  const others = tcp.flatMap(({ outcome, saw }) =>
    outcome === "closed" ? [saw.replace(/[,;].*| (of|without) .*/, "")] : [],
  );
  return [...new Set([...(isMysqlClosed ? ["COM_QUIT"] : []), ...others])];
}

function factsOf({ connections, endings, abortedClients, goodbyes = ["COM_QUIT"] }: Findings): string {
  const { opened, closed, aborted, leaked } = connections;
  const counter = abortedClients === undefined ? "" : ` (Aborted_clients +${abortedClients})`;
  const ends = Object.entries(endings);
  const ended =
    ends.length === 1 && ends[0]?.[1] === 1
      ? `the runtime's process ${endedBy(ends[0][0])}`
      : `the runtimes' processes ${ends.map(([how, count]) => `${endedBy(how)} ${count}×`).join(", ")}`;
  return `${opened} opened, ${closed} closed${goodbyes.length === 0 ? "" : ` with ${goodbyes.join(" and ")}`}, ${aborted} aborted, ${leaked} left on the server${counter}${ends.length === 0 ? "" : `, ${ended}`}`;
}

function endedBy(how: string): string {
  return how === "gone before" ? "gone before any signal" : `ended by ${how}`;
}

function inWords({ errorType, errorMessage }: LambdaError): string {
  return `${errorType}: ${firstLine(errorMessage).replace(/\.$/, "")}`;
}

function all(count: number): string {
  return count === 1 ? "its invocation" : `all ${count} invocations`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function ofMany(count: number, many: number): string {
  return many === 1 ? "" : ` in ${count} of ${many} environments`;
}
