import { setTimeout as sleep } from "node:timers/promises";
import colors from "picocolors";
import { lightened } from "../lambda/fake-insights";
import { Emulator, type EmulatorConfig } from "../lambda/emulator";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { WORKERS_PER_VCPU } from "../lambda/managed-environment";
import type { DatabaseServer } from "../mysql/server";
import type { Subject } from "../functions/subject";
import { databaseAccess } from "./database-access";
import { busyWorkers, withinStart, type ManagedRunConfig } from "./managed-run";
import { severed } from "../mysql/severed";
import { TcpRelays } from "./tcp-connections";
import { connectionsOf, verdictOf, type VerdictKind } from "./verdict";
import { outcomesOf, type Outcome } from "./outcome";
import { hasOwnCounter, type End, type RunResult } from "./run";

/** What AWS's own emulator did to a function, in the words of {@link RunResult}. */
export interface EmulatorResult extends Pick<RunResult, "subject" | "end" | "outcomes" | "abortedClients" | "logs"> {
  /** Whether each invocation was answered, without the one that was to end the environment. */
  readonly invocations: readonly boolean[];
  readonly endedBy: RunResult["shutdown"]["endedBy"];
  /** Milliseconds from SIGTERM until the emulator was gone, extensions included. */
  readonly goneMs: number;
}

/** What both judge. */
type Judged = Pick<RunResult, "outcomes"> & { readonly shutdown: Pick<RunResult["shutdown"], "endedBy"> };

/** Milliseconds that the server gets to notice that a connection ended. */
const SETTLE_MS = 100;

/**
 * Does what {@link run} does, in AWS's emulator instead of the lab's execution environment.
 *
 * @param program from `emulatorProgram`
 * @param end the emulator has no freezing, and no failure that is of the lab's making
 */
export async function runInEmulator(
  subject: Subject,
  runtime: LambdaRuntime,
  server: DatabaseServer,
  events: readonly unknown[],
  end: End,
  program: string,
): Promise<EmulatorResult> {
  const config = { program, runtime, extensions: subject.extensions };
  return inEmulator(subject, server, config, end.how, async (emulator) => {
    const invocations: boolean[] = [];
    for (const event of events) invocations.push((await emulator.invoke(event)).ok);
    if (end.how === "timeout") {
      await emulator.invoke(end.event);
      await sleep(SETTLE_MS);
    } else if (end.how === "spindown") {
      await sleep(end.frozenMs);
    }
    return invocations;
  });
}

/** Does what {@link runManaged} does, in the emulator's mode for Managed Instances. */
export async function runManagedInEmulator(config: ManagedRunConfig, program: string): Promise<EmulatorResult> {
  const { subject, runtime, database, workers = WORKERS_PER_VCPU, event = {}, slowEvent } = config;
  const extensions = lightened(subject.extensions);
  return inEmulator(subject, database, { program, runtime, extensions, workers }, "idle", async (emulator) => {
    const asked = (times: number): Promise<boolean> => withinStart(() => emulator.nextRequests >= times);
    const haveStarted = await asked(workers);
    const results = await Promise.all(Array.from({ length: workers }, () => emulator.invoke(event)));
    if (haveStarted) await asked(2 * workers);
    const busy = busyWorkers(config);
    // The Shutdown phase aborts them.
    for (let each = 0; each < busy; each += 1) emulator.invoke(slowEvent).catch(() => undefined);
    if (busy > 0) await sleep(SETTLE_MS);
    return results.map(({ ok }) => ok);
  });
}

/** @param play invokes the function, and tells which invocations were answered */
async function inEmulator(
  subject: Subject,
  server: DatabaseServer,
  config: Omit<EmulatorConfig, "lambdaFunction">,
  end: End["how"],
  play: (emulator: Emulator) => Promise<readonly boolean[]>,
): Promise<EmulatorResult> {
  const database = subject.database ?? server;
  const abortedBefore = await database.abortedClients();
  const { relay, variables } = await databaseAccess(subject, database);
  const tcp = await TcpRelays.start(subject.tcp ?? [], () => undefined);
  const lambdaFunction = { ...subject.lambdaFunction, environment: variables(tcp.addresses) };
  let emulator: Emulator | undefined;
  try {
    emulator = await Emulator.start({ ...config, lambdaFunction });
    const invocations = await play(emulator);
    // If an environment vanishes without SIGTERM, nothing of it reaches the server.
    if (!emulator.hasExtension) await severed([relay, ...tcp.relays], "SIGKILL at once");
    const goneMs = await emulator.shutdown();
    await sleep(SETTLE_MS);
    const connections = relay.connections.filter(({ loggedIn }) => loggedIn);
    return {
      subject: subject.name,
      end,
      invocations,
      endedBy: emulator.endedBy,
      goneMs,
      outcomes: [...outcomesOf(connections), ...tcp.connections().map(({ outcome }) => outcome)],
      ...(hasOwnCounter(database) ? { abortedClients: (await database.abortedClients()) - abortedBefore } : {}),
      logs: emulator.logs,
    };
  } finally {
    await emulator?.shutdown();
    await relay.close();
    await tcp.close();
  }
}

/** Whether the lab and the emulator saw the same: the outcome of each connection, and who ended the process. */
export function isSameVerdict(lab: Judged, emulator: EmulatorResult): boolean {
  const sorted = (outcomes: readonly Outcome[]): string => [...outcomes].sort().join();
  return sorted(lab.outcomes) === sorted(emulator.outcomes) && heard(lab.shutdown.endedBy) === emulator.endedBy;
}

/** The emulator cannot tell who listened to SIGTERM. */
function heard(endedBy: EmulatorResult["endedBy"]): EmulatorResult["endedBy"] {
  return endedBy === "SIGTERM, unheard" ? "itself" : endedBy;
}

/** The verdict of every command, on what the emulator did. It cannot tell an Init that failed from an invocation. */
export function emulatorKind(result: EmulatorResult): VerdictKind {
  const { subject, outcomes, invocations, endedBy } = result;
  const ok = invocations.filter((isOk) => isOk).length;
  return verdictOf({
    subject,
    invocations: { ok, failed: invocations.length - ok },
    connections: connectionsOf(outcomes),
    endings: { [endedBy]: 1 },
  }).kind;
}

/** One line beside the lab's verdict. */
export function emulatorVerdict(result: EmulatorResult): { readonly clean: boolean; readonly sentence: string } {
  const { outcomes, invocations, endedBy, goneMs } = result;
  const closed = outcomes.filter((outcome) => outcome === "closed").length;
  const lost = outcomes.length - closed;
  const clean = outcomes.length > 0 && lost === 0 && endedBy === "itself" && invocations.every((ok) => ok);
  const ended = `ended by ${endedBy}, gone after ${goneMs.toFixed(0)} ms`;
  const sentence = `AWS's emulator: ${outcomes.length} opened, ${closed} closed, ${lost} not; the runtime's process ${ended}`;
  return { clean, sentence };
}

/** What the emulator saw, and whether the lab saw the same. */
export function besideTheLab(lab: Judged, emulated: EmulatorResult): string {
  const { clean, sentence } = emulatorVerdict(emulated);
  const agreement = isSameVerdict(lab, emulated) ? "the lab says the same" : "the lab says something else";
  return (clean ? colors.green : colors.red)(`${clean ? "✓" : "✗"} ${sentence}; ${agreement}.`);
}
