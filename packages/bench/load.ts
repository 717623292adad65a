/** `npm run bench -- --load`: many callers on one pool, beside mysql2's own pool in the same process and the same rounds. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Table from "cli-table3";
import { build } from "esbuild";
import { median, sum } from "simple-statistics";
import { startDatabaseServer } from "../lab/mysql/database-server";
import { cpuShare } from "./cpu-share";
import type { Load, LoadRound } from "./load-client";

/** Of each load; more of a short one, whose rounds differ more. */
const rounds = (callers: number): number => (callers <= 16 ? 51 : 11);

/** Callers side by side, and the statements of each. */
const LOADS = Object.entries({ 1: 100, 4: 25, 10: 1, 16: 8, 64: 16, 100: 1, 1_000: 1, 5_000: 1 });

const run = promisify(execFile);

type Command = (command: readonly string[]) => readonly string[];
type Side = "ours" | "mysql2";

export async function printLoads(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "bench-load-"));
  const program = join(scratch, "load-client.mjs");
  await bundle(program);
  const server = await startDatabaseServer();
  const share = cpuShare(128);
  if (share === undefined) console.log("Not measured: the share of 128 MB. This user may not make a control group.");
  const cpus: (readonly [string, Command])[] = [["whole", (command) => command]];
  if (share !== undefined) cpus.push(["128 MB", share.limited]);
  try {
    const head = ["CPU", "connections", "callers × statements", "time ÷ mysql2's", "longest wait ÷ mysql2's", "failed"];
    const table = new Table({ head, style: { head: [], border: [], compact: true } });
    for (const [cpu, limited] of cpus) {
      for (const connectionLimit of [1, 4]) {
        for (const [key, statements] of LOADS) {
          const callers = Number(key);
          const { host, port, database, user, password } = server;
          const load = { host, port, database, user, password, connectionLimit, callers, statements };
          const cells = await play({ ...load, rounds: rounds(callers) }, program, limited);
          table.push([cpu, connectionLimit, `${callers} × ${statements}`, ...cells]);
        }
      }
    }
    console.log(table.toString());
  } finally {
    share?.remove();
    await server.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function bundle(outfile: string): Promise<void> {
  await build({
    ...{ entryPoints: [join(__dirname, "load-client.ts")], outfile, bundle: true, platform: "node", format: "esm" },
    conditions: ["source"],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
}

/** @returns the ratios of the times and of the longest waits, and how many statements failed */
async function play(load: Load, program: string, limited: Command): Promise<readonly string[]> {
  const [command = "", ...args] = limited([process.execPath, program, JSON.stringify(load)]);
  const { stdout } = await run(command, args, { timeout: 600_000 });
  const played = JSON.parse(stdout) as readonly Readonly<Record<Side, LoadRound>>[];
  const ratio = (of: "ms" | "longestWaitMs"): string =>
    median(played.map(({ ours, mysql2 }) => ours[of] / mysql2[of])).toFixed(2);
  const failed = (side: Side): number => sum(played.map((each) => each[side].failed));
  return [ratio("ms"), ratio("longestWaitMs"), `${failed("ours")} (mysql2 ${failed("mysql2")})`];
}
