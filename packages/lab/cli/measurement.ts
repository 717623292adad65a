import { mkdirSync, symlinkSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { bundleFaultHandler } from "../faults/fault-handler";
import { ALTERNATIVES } from "../faults/alternatives";
import { version } from "../package.json";
import { runFaults, faultRunsOf, type FaultRun } from "../faults/fault-runs";
import type { FaultResult } from "../faults/fault-result";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { run, type RunResult } from "../runs/run";
import { runVerdict } from "../runs/verdict";
import { storm } from "../runs/storm";
import type { InvocationResult } from "../lambda/execution-environment";
import type { CommandContext } from "./command-context";
import { faultPlan } from "./fault-plan";
import { besideOthers, chosen, type Chosen, type HandlerOptions } from "./handler-options";
import type { Fault, ReportData, Run, Storm } from "../report/report-data";

export interface Effort extends HandlerOptions {
  /** Of each way's storm. */
  readonly environments: number;
  readonly seed: number;
  readonly seconds: number;
  /** Whether the fault table is played, which takes minutes and a mariadbd. */
  readonly faults: boolean;
}

/** How many of our plays may be repeated because something was wrong: a machine that is busy takes from 300 ms. */
const PATIENCE = 3;

/** One Init is not enough: a report shows the median and the spread of these. */
const LIVES = 5;

/** Everything that a report shows, one after the other, since each would take CPU from the other. */
export async function measurement(context: CommandContext, effort: Effort): Promise<ReportData> {
  const first = await chosen(context, effort);
  const runtime = await context.runtime(first.runtime, effort.image);
  const database = await context.database();
  const subjects = await besideOthers(context, first);
  const { events } = first;
  const runs: Run[] = [];
  for (const subject of subjects) {
    const lives = await context.step(
      `${subject.name}: Init, Invoke, Shutdown, ${LIVES} times`,
      async () => {
        const all: RunResult[] = [];
        while (all.length < LIVES) all.push(await run(subject, runtime, database, [events.quick, events.quick]));
        return all;
      },
      ({ length }) => `${length} lives      ${subject.name}`,
    );
    const drawn = lives.find((life) => !runVerdict(life).clean) ?? lives[0];
    if (drawn === undefined) throw new Error("nothing was run");
    const { shutdown, outcomes, timeline, initError, invocations, isLabClient, logIn } = drawn;
    runs.push({
      ...{ subject: subject.name, shutdown, outcomes, timeline, invocations: invocations.map(withoutPayload), logIn },
      inits: lives.flatMap(({ initMs = [] }) => initMs),
      ...(initError === undefined ? {} : { initError }),
      ...(isLabClient === undefined ? {} : { isLabClient }),
    });
  }
  const storms: Storm[] = [];
  for (const subject of subjects) {
    const { environments, seed, seconds } = effort;
    // A function whose Init fails makes no storm; its life says why, and the others still have theirs.
    if (runs.some((life) => life.subject === subject.name && life.initError !== undefined)) continue;
    storms.push(
      await context.step(
        `${subject.name}: a storm of ${environments} environments`,
        (onProgress) => storm({ subject, runtime, database, environments, seed, seconds, events, onProgress }),
        ({ opened, aborted, leaked }) =>
          `storm        ${subject.name}: ${opened} connections, ${aborted} aborted, ${leaked} leaked`,
      ),
    );
  }
  const [cpu] = cpus();
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpu?.model ?? "unknown CPU"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    versions: {
      "lambda-shutdown-lab": version,
      lab: `Node.js ${process.version}`,
      runtime: runtime.description,
      database: database.description,
    },
    seed: effort.seed,
    runs,
    storms,
    faults: effort.faults ? await faultsOf(context, first, effort, runtime) : [],
  };
}

/** An answer may contain anything. */
function withoutPayload(invocation: InvocationResult): InvocationResult {
  return invocation.ok ? { ...invocation, payload: null } : invocation;
}

async function faultsOf(
  context: CommandContext,
  first: Chosen,
  { extension, env }: Effort,
  runtime: LambdaRuntime,
): Promise<readonly Fault[]> {
  if (first.synthesized !== undefined) {
    return context.project.faultHandler === undefined ? [] : faults(context, runtime);
  }
  const { faultRuns } = faultPlan(first, extension === "internal" ? "internal" : "external", env);
  return context.step(
    `playing ${faultRuns.length} faults`,
    async (onProgress) => {
      const { results, close } = await runFaults(faultRuns, context.scratch, PATIENCE, runtime);
      try {
        const all: FaultResult[] = [];
        for (const result of results) {
          all.push(await result);
          onProgress(`${all.length} of ${faultRuns.length}`);
        }
        return all.map(({ fault, function: name, extension: kind, problems }) => ({
          ...{ fault, function: name, extension: kind, problems },
        }));
      } finally {
        await close();
      }
    },
    ({ length }) => `faults       ${length} played`,
  );
}

/** The fault table, played to this function's library and to other people's ways, with an external extension. */
async function faults(context: CommandContext, runtime: LambdaRuntime): Promise<readonly Fault[]> {
  const directory = join(context.scratch, "fault-function");
  mkdirSync(directory);
  // The AWS SDK is not bundled: in Lambda it is there.
  symlinkSync(join(context.project.root, "node_modules"), join(directory, "node_modules"));
  await bundleFaultHandler(context.project, directory);
  const ours = { name: "this function", directory, handler: "index.handler", logsShutdown: true };
  const ourRuns = faultRunsOf(ours, ["external"]);
  const alternativeRuns = ALTERNATIVES.flatMap((alternative) => faultRunsOf(alternative, ["external"]));
  const count = ourRuns.length + alternativeRuns.length;
  const played = await context.step(
    `playing ${count} faults`,
    async (onProgress) => {
      const all: FaultResult[] = [];
      const play = async (faultRuns: readonly FaultRun[], patience: number): Promise<void> => {
        const { results, close } = await runFaults(faultRuns, context.scratch, patience, runtime);
        try {
          for (const result of results) {
            all.push(await result);
            onProgress(`${all.length} of ${count}`);
          }
        } finally {
          await close();
        }
      };
      await play(ourRuns, PATIENCE);
      await play(alternativeRuns, 0); // in most, something is wrong, and that is shown as it comes
      return all;
    },
    ({ length }) => `faults       ${length} played`,
  );
  return played.map(({ fault, function: name, extension, problems }) => ({
    ...{ fault, function: name, extension, problems },
  }));
}
