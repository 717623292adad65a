import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { bundleFaultHandler } from "../lab/faults/fault-handler";
import { startDatabaseServer } from "../lab/mysql/database-server";
import { runFaults, faultRunsOf } from "../lab/faults/fault-runs";
import type { FaultResult } from "../lab/faults/fault-result";
import { lambdaRuntime } from "../lab/lambda/lambda-runtime";
import { findProject } from "../lab/functions/project";
import { synth } from "../lab/functions/synth";
import { synthesizedFunction } from "../lab/functions/synthesized-function";
import { codeSize, type CodeSize } from "./code-size";
import { coldStarts, type ColdStarts } from "./cold-start";
import { startColdSubjects } from "./cold-subjects";
import { benchSubjects, type SubjectKey } from "./subjects";
import { lifecycles, type Lifecycles } from "./lifecycles";
import { ALTERNATIVES } from "../lab/faults/alternatives";
import { warm, type Warm } from "./warm";

export const OURS = "this function";

export interface Figures {
  /** ISO 8601, of the day. */
  readonly date: string;
  readonly machine: string;
  readonly runtime: string;
  readonly database: string;
  readonly lifecycles: Readonly<Record<SubjectKey, Lifecycles>>;
  /** @default - the figures are older than this measurement */
  readonly coldStarts?: ColdStarts;
  readonly warm: Readonly<Record<"ours" | "bare", Warm>>;
  readonly code: Readonly<Record<"ours" | "article", CodeSize>>;
  /** Per fault and whom it was played to, what was wrong afterwards. */
  readonly faults: readonly Pick<FaultResult, "fault" | "function" | "problems">[];
}

export interface Effort {
  readonly environments: number;
  readonly invocations: number;
  /** The code of an earlier build, for its cold start. @default - only today's is measured */
  readonly earlier?: string;
}

export async function measure(effort: Effort, onProgress: (message: string) => void): Promise<Figures> {
  const scratch = scratchDirectory();
  onProgress("synthesizing");
  const synthesized = synthesizedFunction(await synth());
  // Nothing of the lab's is preloaded where time is measured, and a share of a CPU puts a shell before Node.js.
  const runtime = { ...lambdaRuntime(synthesized.runtime), isNode: false };
  const database = await startDatabaseServer();
  try {
    const subjects = benchSubjects(synthesized, scratch);
    const lived = await lifecycles(subjects, effort.environments, runtime, database, onProgress);
    const cold = await startColdSubjects(subjects, scratch, effort.earlier);
    const started = await coldStarts(cold.subjects, effort.environments, runtime, onProgress).finally(() =>
      cold.stop(),
    );
    onProgress("warm invocations");
    const [ours, bare] = await warm([subjects.ours, subjects.bare], effort.invocations, runtime, database);
    if (ours === undefined || bare === undefined) throw new Error("a way was not invoked");
    onProgress("faults, for minutes");
    const played = await faults(scratch);
    onProgress("synthesizing");
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, Node.js ${process.version} for the lab`,
      runtime: runtime.description,
      database: database.description,
      lifecycles: lived,
      coldStarts: started,
      warm: { ours, bare },
      code: {
        ours: codeSize(synthesized.directory, (file) => !file.endsWith(".map")),
        article: codeSize(subjects.article.lambdaFunction.directory, () => true),
      },
      faults: played.map(({ fault, function: name, problems }) => ({ fault, function: name, problems })),
    };
  } finally {
    await database.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * As in Lambda, AWS's SDK is above the code, and no package.json: Node.js would look for one in each Init, and read the
 * project's.
 */
function scratchDirectory(): string {
  const scratch = mkdtempSync(join(tmpdir(), "bench-"));
  symlinkSync(join(__dirname, "../../node_modules"), join(scratch, "node_modules"));
  return scratch;
}

/** The fault table, played to this function and to its alternatives, with an external extension. */
async function faults(scratch: string): Promise<readonly FaultResult[]> {
  const directory = join(scratch, "faults");
  await bundleFaultHandler(findProject(), directory);
  const ours = { name: OURS, directory, handler: "index.handler", logsShutdown: true };
  const faultRuns = [ours, ...ALTERNATIVES].flatMap((faulted) => faultRunsOf(faulted, ["external"]));
  const { results, close } = await runFaults(faultRuns, scratch);
  try {
    return await Promise.all(results);
  } finally {
    await close();
  }
}
