import { mkdirSync, symlinkSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { bundleFaultHandler } from "../faults/fault-handler";
import { ALTERNATIVES } from "../faults/alternatives";
import { version } from "../package.json";
import { runFaults, faultRunsOf, type FaultRun, type StartedFaults } from "../faults/fault-runs";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { run, type RunResult } from "../runs/run";
import { runVerdict } from "../runs/verdict";
import { storm, type StormConfig } from "../runs/storm";
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
  for (const subject of subjects) runs.push(await livesOf(context, { subject, runtime, database, events }));
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
  return {
    date: new Date().toISOString(),
    machine: machine(),
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

function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model ?? "unknown CPU"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
}

async function livesOf(
  context: CommandContext,
  {
    subject,
    runtime,
    database,
    events,
  }: Pick<StormConfig, "subject" | "runtime" | "database"> & Pick<Chosen, "events">,
): Promise<Run> {
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
  return {
    ...{ subject: subject.name, shutdown, outcomes, timeline, invocations: invocations.map(withoutPayload), logIn },
    inits: lives.flatMap(({ initMs = [] }) => initMs),
    ...(initError === undefined ? {} : { initError }),
    ...(isLabClient === undefined ? {} : { isLabClient }),
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
  const plan = faultPlan(context, first, extension === "internal" ? "internal" : "external", env, runtime);
  return context.step(
    `playing ${plan.faults.length} faults`,
    async (onProgress) => resultsOf(await plan.start(plan.faults, PATIENCE), onProgress),
    ({ length }) => `faults       ${length} played`,
  );
}

async function resultsOf(
  { results, close }: StartedFaults,
  onProgress: (progress: string) => void,
): Promise<readonly Fault[]> {
  const all: Fault[] = [];
  try {
    for (const result of results) {
      const { fault, function: name, extension, problems } = await result;
      all.push({ fault, function: name, extension, problems });
      onProgress(`${all.length} of ${results.length}`);
    }
    return all;
  } finally {
    await close();
  }
}

/** The fault table, played to this function's library and to other people's ways, with an external extension. */
async function faults(context: CommandContext, runtime: LambdaRuntime): Promise<readonly Fault[]> {
  const directory = join(context.scratch, "fault-function");
  mkdirSync(directory);
  // The AWS SDK is not bundled: in Lambda it is there.
  symlinkSync(join(context.project.root, "node_modules"), join(directory, "node_modules"));
  await bundleFaultHandler(context.project, directory);
  const ours = { name: "this function", directory, handler: "index.handler", logsShutdown: true };
  const play = async (whose: string, faultRuns: readonly FaultRun[], patience: number): Promise<readonly Fault[]> =>
    context.step(
      `playing ${faultRuns.length} faults to ${whose}`,
      async (onProgress) => resultsOf(await runFaults(faultRuns, context.scratch, patience, runtime), onProgress),
      ({ length }) => `faults       ${length} played to ${whose}`,
    );
  const alternatives = ALTERNATIVES.flatMap((alternative) => faultRunsOf(alternative, ["external"]));
  return [
    ...(await play("this function", faultRunsOf(ours, ["external"]), PATIENCE)),
    // In most, something is wrong, and that is shown as it comes.
    ...(await play("other people's ways", alternatives, 0)),
  ];
}
