import colors from "picocolors";
import type { LambdaError } from "../lambda/runtime-api";
import type { Starvation } from "../lambda/starvation";
import { firstLine } from "./one-line";
import type { Outcome } from "./outcome";
import type { RunResult } from "./run";
import type { TcpConnection } from "./tcp-connections";
import { unwatchedInWords } from "./unwatched-connections";

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
  /** Answers of a Web Function that were cut off at its end. @default 0 */
  readonly cutOff?: number;
  /** Rise of the server's own counter. @default - the server has none */
  readonly abortedClients?: number;
  /** A connection was to a PostgreSQL server. @default false */
  readonly hasPostgresql?: boolean;
  /** Why the lab cannot tell. @default - it can */
  readonly unproven?: keyof typeof UNPROVEN;
  /** What ran in the place of the named runtime. @default - the named one ran */
  readonly otherRuntime?: string;
  /** This machine kept so many runtimes from running when they had to end; the worst of them. @default none */
  readonly starved?: Starvation & { readonly environments: number };
  /** What the lab does not watch, in words. @default nothing */
  readonly unwatched?: string;
}

const UNPROVEN = {
  exit: "gave every connection back, but left by process.exit(), which hangs on AWS's runtime client, and that one is not here",
  encryption:
    "ended every connection, but some are encrypted up to the server, so the lab cannot see how their protocol closed them",
  protocol: "ended every connection, but some with FIN alone, and the lab does not know their protocol",
} as const;

/** Of many environments, so many may be late because the machine is busy: their budget is real time. */
const LATE_SHARE = 0.05;

/** The one place that decides what is clean, for every command. */
export function verdictOf(findings: Findings): Verdict {
  const found = verdictOnThisRuntime(findings);
  const { otherRuntime } = findings;
  if (otherRuntime === undefined || (found.kind !== "clean" && found.kind !== "not clean")) return found;
  return verdict("not proven here", `on ${otherRuntime}, which is not the named runtime, ${found.sentence}`);
}

function verdictOnThisRuntime(findings: Findings): Verdict {
  const { subject, initError, invocations, connections } = findings;
  const { ok, failed, firstError } = invocations;
  const because =
    firstError === undefined ? "" : `${failed === 1 ? " with" : ", the first with"} ${inWords(firstError)}`;
  if (findings.isLate === true) {
    const why = "this machine was too busy to start the lab's own extension in time";
    return verdict("not proven here", `Init of ${subject} timed out before its runtime started, because ${why}`);
  }
  if (initError !== undefined) return verdict("not clean", `Init of ${subject} failed: ${inWords(initError)}`);
  if (ok === 0 && failed > 0 && connections.opened === 0) {
    return verdict("could not be invoked", `${subject} could not be invoked: ${all(failed)} failed${because}`);
  }
  return starvedVerdict(findings) ?? lossVerdict(findings, because) ?? endVerdict(findings);
}

/** What was lost: connections, invocations, answers. */
function lossVerdict(findings: Findings, because: string): Verdict | undefined {
  const { subject, invocations, connections } = findings;
  const { ok, failed } = invocations;
  const { opened, closed } = connections;
  const facts = factsOf(findings);
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
  if ((findings.cutOff ?? 0) > 0) {
    return verdict("not clean", `${plural(findings.cutOff ?? 0, "answer")} of ${subject} were cut off: ${facts}`);
  }
  return undefined;
}

/** How the processes ended, where nothing was lost. */
function endVerdict(findings: Findings): Verdict {
  const { subject, connections, endings } = findings;
  const facts = factsOf(findings);
  const unwatched = findings.unwatched === undefined ? "" : `; ${findings.unwatched}`;
  const ends = count(endings);
  const killed = endings["SIGKILL at its deadline"] ?? 0;
  const goneBefore = endings["gone before"] ?? 0;
  if (connections.opened === 0) {
    return verdict(
      "no database seen",
      `${subject} opened no connection to a database that the lab watches, so there is no verdict: ${facts}${unwatched}`,
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
  return unwatched === ""
    ? verdict("clean", `${subject} gave every connection back: ${facts}`)
    : verdict("clean", `${subject} gave back every connection that the lab watches: ${facts}${unwatched}`);
}

/**
 * Undefined if the machine was not busy, if all is well all the same, or if more was lost than the runtimes that it kept
 * from running can have lost.
 */
function starvedVerdict(findings: Findings): Verdict | undefined {
  const { subject, connections, endings, starved } = findings;
  if (starved === undefined) return undefined;
  const ends = count(endings);
  const { environments, waitMs, budgetMs, load } = starved;
  const lost = connections.opened - connections.closed;
  const killed = endings["SIGKILL at its deadline"] ?? 0;
  if (lost === 0 && killed <= ends * LATE_SHARE) return undefined;
  if (lost > Math.ceil((environments * connections.opened) / ends) || killed - environments > ends * LATE_SHARE) {
    return undefined;
  }
  const waited = `waited ${waitMs.toFixed(0)} ms for a CPU, of the ${budgetMs} ms that it had`;
  const why = `this machine was too busy (load ${load.toFixed(1)}): the process ${waited}${ofMany(environments, ends)}`;
  return verdict("not proven here", `${subject} could not be judged, because ${why}. Try again: ${factsOf(findings)}`);
}

function count(endings: Findings["endings"]): number {
  return Object.values(endings).reduce((sum, each) => sum + each, 0);
}

/** What a run found, for {@link verdictOf}. */
export function findingsOf(
  result: Pick<RunResult, "subject" | "shutdown" | "outcomes" | "timeline" | "invocations"> & Partial<RunResult>,
): Findings {
  const { subject, initError, invocations, outcomes, shutdown, tcp = [], otherRuntime, unwatched } = result;
  // The counter is MySQL's, and says nothing of other servers.
  const abortedClients = outcomes.length > tcp.length || tcp.length === 0 ? result.abortedClients : undefined;
  const left =
    result.isLabClient === true && result.timeline.some(({ what }) => /^runtime gone \(exit status/.test(what));
  const unproven = left ? "exit" : tcp.find((connection) => connection.unproven !== undefined)?.unproven;
  return {
    subject,
    ...(initError === undefined ? {} : { initError }),
    ...(result.isLate === true ? { isLate: true } : {}),
    invocations: invocationsOf(invocations),
    connections: connectionsOf(outcomes),
    endings: { [shutdown.endedBy]: 1 },
    ...(shutdown.starved === undefined ? {} : { starved: { ...shutdown.starved, environments: 1 } }),
    ...(tcp.length === 0
      ? {}
      : { goodbyes: goodbyesOf(outcomes.slice(0, outcomes.length - tcp.length).includes("closed"), tcp) }),
    ...(abortedClients === undefined ? {} : { abortedClients }),
    ...(tcp.some(({ protocol }) => protocol === "PostgreSQL") ? { hasPostgresql: true } : {}),
    ...(unproven === undefined ? {} : { unproven }),
    ...(otherRuntime === undefined ? {} : { otherRuntime }),
    ...(unwatched === undefined ? {} : { unwatched: unwatchedInWords(unwatched).replaceAll("\n", "; ") }),
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
  return tcp.some(({ unproven }) => unproven === "encryption");
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

/** A Redis client may leave with FIN alone. */
export function goodbyesOf(isMysqlClosed: boolean, tcp: readonly TcpConnection[]): readonly string[] {
  const others = tcp.flatMap(({ outcome, saw }) =>
    outcome === "closed" ? [saw.replace(/[,;].*| (of|without) .*/, "")] : [],
  );
  return [...new Set([...(isMysqlClosed ? ["COM_QUIT"] : []), ...others])];
}

/** Where a PostgreSQL server shows what it counts, which the lab does not ask it. */
const POSTGRESQL_COUNTER = "pg_stat_database.sessions_abandoned, and the log with log_disconnections";

function factsOf(findings: Findings): string {
  const { connections, endings, abortedClients, goodbyes = ["COM_QUIT"], hasPostgresql = false } = findings;
  const counterHint = hasPostgresql && connections.aborted > 0 ? ` (PostgreSQL counts in ${POSTGRESQL_COUNTER})` : "";
  const { opened, closed, aborted, leaked } = connections;
  const counter = abortedClients === undefined ? counterHint : ` (Aborted_clients +${abortedClients})`;
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
