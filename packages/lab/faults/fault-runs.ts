import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { createCertificates } from "#fake-mysql";
import type { Fault } from "./fault";
import type { FaultedFunction, FaultResult } from "./fault-result";
import type { ShutdownExtension } from "./shutdown-extension";
import { FAULTS } from "./faults";
import { startServer } from "./fault-servers";
import { runFault } from "./run-fault";

/** A fault, and who meets it how. */
export interface FaultRun {
  readonly fault: Fault;
  readonly faulted: FaultedFunction;
  readonly extension: ShutdownExtension;
}

/** The table from its first row to its last, in each way to get a SIGTERM. */
export function faultRunsOf(faulted: FaultedFunction, among: readonly ShutdownExtension[]): readonly FaultRun[] {
  return among.flatMap((extension) =>
    FAULTS.filter(({ extensions = ["external", "internal"] }) => extensions.includes(extension)).map((fault) => ({
      ...{ fault, faulted, extension },
    })),
  );
}

/**
 * Two at a time, and each of the two with a server of its own, since `Aborted_clients` counts everybody's. More would
 * be faster, and on two cores would cost the function some of its milliseconds.
 */
const LANES = 2;

/**
 * If the machine delays the lab's own timer by so many milliseconds, it also delays the function. Such a run proves
 * nothing about the function, and is repeated.
 */
const STANDSTILL_MS = 20;
const ATTEMPTS = 3;

/** What was begun: the promises are those of the results, one for each play. */
export interface StartedFaults {
  readonly results: readonly Promise<FaultResult>[];
  readonly close: () => Promise<void>;
}

/**
 * Plays them, in their order.
 *
 * @param scratch an existing directory, which is the caller's to remove
 * @param patience how many plays may be repeated in all because something was wrong: a budget of 300 ms is real time,
 * and a machine that is busy elsewhere takes from it. What is wrong with the function is wrong each time.
 */
export async function runFaults(
  faultRuns: readonly FaultRun[],
  scratch: string,
  patience = 0,
  runtime: LambdaRuntime = lambdaRuntime("nodejs24.x"),
): Promise<StartedFaults> {
  const certificates = await createCertificates(scratch);
  const servers = await Promise.all(Array.from({ length: LANES }, () => startServer(certificates)));
  const plays = faultRuns.map(({ fault, faulted, extension }, index) => {
    const server = servers[index % LANES];
    if (server === undefined) throw new Error("there is no lane");
    return async () => runFault(fault, faulted, extension, { runtime, certificates, server });
  });
  const results = playInLanes(plays, patience);
  return {
    results,
    close: async () => {
      await Promise.allSettled(results);
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** The play with index i runs in lane i % LANES. */
export function playInLanes(
  plays: readonly (() => Promise<FaultResult>)[],
  patience: number,
): readonly Promise<FaultResult>[] {
  const lanes = Array.from({ length: LANES }, () => Promise.resolve<unknown>(undefined));
  let repeatsLeft = patience;
  const repeated = async (play: () => Promise<FaultResult>, attempt = 1): Promise<FaultResult> => {
    const result = await play();
    const { fault, extension, killLateMs, problems, starved } = result;
    if (attempt === ATTEMPTS) return result;
    if (killLateMs > STANDSTILL_MS) return repeated(play, attempt + 1);
    if (problems.length === 0) return result;
    if (starved !== undefined) return repeated(play, attempt + 1);
    if (repeatsLeft === 0) return result;
    repeatsLeft -= 1;
    console.warn(`played again: ${fault}, ${extension} extension: ${problems.join("; ")}`);
    return repeated(play, attempt + 1);
  };
  return plays.map((play, index) => {
    const result = (lanes[index % LANES] ?? Promise.resolve()).then(() => repeated(play));
    lanes[index % LANES] = result.catch(() => undefined); // code that waits for it later still gets the rejection
    return result;
  });
}
