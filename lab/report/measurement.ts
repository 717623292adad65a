import { mkdirSync, symlinkSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { stageFaultFunction } from "../../__tests__/e2e/fault-function/stage";
import { RIVALS } from "../../bench/rivals/rivals";
import { version } from "../../package.json";
import { playFaults, playsOf, type Play } from "../faults/play-faults";
import type { FaultResult } from "../faults/run-fault";
import type { LambdaRuntime } from "../lambda-runtime";
import { run } from "../run";
import { storm } from "../storm";
import { articlesWay, noExtension, thisFunction } from "../way";
import type { Workshop } from "../workshop";
import type { Fault, ReportData, Run, Storm } from "./report-data";

export interface Effort {
  /** Of each way's storm. */
  readonly environments: number;
  readonly seed: number;
  readonly seconds: number;
  /** Whether the fault table is played, which takes minutes and a mariadbd. */
  readonly faults: boolean;
}

/** How many of our plays may be repeated because something was wrong: a machine that is busy takes from 300 ms. */
const PATIENCE = 3;

/** Everything that a report shows, one after the other, since each would take CPU from the other. */
export async function measurement(workshop: Workshop, effort: Effort): Promise<ReportData> {
  const synthesized = await workshop.synthesized();
  const runtime = await workshop.runtime(synthesized.runtime);
  const database = await workshop.database();
  const ways = [
    thisFunction(synthesized),
    articlesWay(synthesized, join(workshop.scratch, "article")),
    noExtension(synthesized),
  ];
  const runs: Run[] = [];
  for (const way of ways) {
    const { shutdown, fates, timeline } = await workshop.step(
      `${way.name}: Init, Invoke, Shutdown`,
      () => run(way, runtime, database, [{}, {}]),
      () => `one life     ${way.name}`,
    );
    runs.push({ way: way.name, shutdown, fates, timeline });
  }
  const storms: Storm[] = [];
  for (const way of ways) {
    const { environments, seed, seconds } = effort;
    storms.push(
      await workshop.step(
        `${way.name}: a storm of ${environments} environments`,
        (onProgress) => storm({ way, runtime, database, environments, seed, seconds, onProgress }),
        ({ opened, aborted, leaked }) =>
          `storm        ${way.name}: ${opened} connections, ${aborted} aborted, ${leaked} leaked`,
      ),
    );
  }
  const [cpu] = cpus();
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpu?.model ?? "unknown CPU"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    versions: {
      "lambda-graceful-shutdown": version,
      lab: `Node.js ${process.version}`,
      runtime: runtime.description,
      database: database.description,
    },
    seed: effort.seed,
    runs,
    storms,
    faults: effort.faults ? await faults(workshop, runtime) : [],
  };
}

/** The fault table, played to this function's library and to other people's ways, with an external extension. */
async function faults(workshop: Workshop, runtime: LambdaRuntime): Promise<readonly Fault[]> {
  const directory = join(workshop.scratch, "fault-function");
  mkdirSync(directory);
  // The AWS SDK is not bundled: in Lambda it is there.
  symlinkSync(join(__dirname, "..", "..", "node_modules"), join(directory, "node_modules"));
  await stageFaultFunction(directory);
  const ours = { name: "this function", directory, handler: "index.handler", logsShutdown: true };
  const ourPlays = playsOf(ours, ["external"]);
  const theirPlays = RIVALS.flatMap((rival) => playsOf(rival, ["external"]));
  const count = ourPlays.length + theirPlays.length;
  const played = await workshop.step(
    `playing ${count} faults`,
    async (onProgress) => {
      const all: FaultResult[] = [];
      const play = async (plays: readonly Play[], patience: number): Promise<void> => {
        const { results, close } = await playFaults(plays, workshop.scratch, patience, runtime);
        try {
          for (const result of results) {
            all.push(await result);
            onProgress(`${all.length} of ${count}`);
          }
        } finally {
          await close();
        }
      };
      await play(ourPlays, PATIENCE);
      await play(theirPlays, 0); // in most, something is wrong, and that is shown as it comes
      return all;
    },
    ({ length }) => `faults       ${length} played`,
  );
  return played.map(({ fault, function: name, extension, problems }) => ({
    ...{ fault, function: name, extension, problems },
  }));
}
