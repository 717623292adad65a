import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { stageFaultFunction } from "../__tests__/e2e/fault-function/stage";
import { startDatabaseServer } from "../lab/database-server";
import { playFaults, playsOf } from "../lab/faults/play-faults";
import type { FaultResult } from "../lab/faults/run-fault";
import { lambdaRuntime } from "../lab/lambda-runtime";
import { synth } from "../lab/synth";
import { synthesizedFunction } from "../lab/synthesized-function";
import { codeSize, type CodeSize } from "./code-size";
import { contestants, type Contestant } from "./contestants";
import { lives, type Lives } from "./lives";
import { RIVALS } from "./rivals/rivals";
import { synthesis, type Synthesis } from "./synthesis";
import { warm, type Warm } from "./warm";

const SYNTH_RUNS = 5;

/** Whom the fault table is played to. */
export const OURS = "this function";

/** What one run has measured. */
export interface Figures {
  /** ISO 8601, of the day. */
  readonly date: string;
  readonly machine: string;
  readonly runtime: string;
  readonly database: string;
  readonly lives: Readonly<Record<Contestant, Lives>>;
  readonly warm: Readonly<Record<"ours" | "bare", Warm>>;
  readonly code: Readonly<Record<"ours" | "article", CodeSize>>;
  readonly synthesis: Synthesis;
  /** Per fault and whom it was played to, what was wrong afterwards. */
  readonly faults: readonly Pick<FaultResult, "fault" | "function" | "problems">[];
}

export interface Effort {
  /** Execution environments of each way. */
  readonly environments: number;
  /** Warm invocations of each. */
  readonly invocations: number;
}

export async function measure(effort: Effort, onProgress: (message: string) => void): Promise<Figures> {
  const cache = join(__dirname, "..", "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, "bench-")); // below the root, where packages that are not bundled are found
  onProgress("synthesizing");
  const synthesized = synthesizedFunction(await synth());
  const runtime = lambdaRuntime(synthesized.runtime);
  const database = await startDatabaseServer();
  try {
    const ways = contestants(synthesized, scratch);
    const lived = await lives(ways, effort.environments, runtime, database, onProgress);
    onProgress("warm invocations");
    const [ours, bare] = await warm([ways.ours, ways.bare], effort.invocations, runtime, database);
    if (ours === undefined || bare === undefined) throw new Error("a way was not invoked");
    onProgress("faults, for minutes");
    const played = await faults(scratch);
    onProgress("synthesizing");
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, Node.js ${process.version} for the lab`,
      runtime: runtime.description,
      database: database.description,
      lives: lived,
      warm: { ours, bare },
      code: {
        ours: codeSize(synthesized.directory, (file) => !file.endsWith(".map")),
        article: codeSize(ways.article.lambdaFunction.directory, () => true),
      },
      synthesis: synthesis(SYNTH_RUNS),
      faults: played.map(({ fault, function: name, problems }) => ({ fault, function: name, problems })),
    };
  } finally {
    await database.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The fault table, played to this function and to its rivals, with an external extension. */
async function faults(scratch: string): Promise<readonly FaultResult[]> {
  const directory = join(scratch, "faults");
  await stageFaultFunction(directory);
  const ours = { name: OURS, directory, handler: "index.handler", logsShutdown: true };
  const plays = [ours, ...RIVALS].flatMap((faulted) => playsOf(faulted, ["external"]));
  const { results, close } = await playFaults(plays, scratch);
  try {
    return await Promise.all(results);
  } finally {
    await close();
  }
}
