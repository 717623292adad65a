/** `npm run bench -- --load`: many callers on one pool, beside mysql2's own pool in the same process and the same rounds. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Table from "cli-table3";
import { build } from "esbuild";
import { median } from "simple-statistics";
import { startDatabaseServer } from "../lab/mysql/database-server";
import { cpuShare } from "./cpu-share";
import type { Load, LoadRound } from "./load-client";

/** Of each load; more of a short one, whose rounds differ more. */
const rounds = (callers: number): number => (callers <= 16 ? 51 : 11);

/** [callers side by side, statements of each] */
const LOADS: readonly (readonly [callers: number, statements: number])[] = [
  [1, 100],
  [4, 25],
  [10, 1],
  [16, 8],
  [64, 16],
  [100, 1],
  [1_000, 1],
  [5_000, 1],
];

const run = promisify(execFile);

/** Prints the table of ratios. */
export async function printLoads(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "bench-load-"));
  const outfile = join(scratch, "load-client.mjs");
  await build({
    ...{ entryPoints: [join(__dirname, "load-client.ts")], outfile, bundle: true, platform: "node", format: "esm" },
    conditions: ["source"],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  const server = await startDatabaseServer();
  const share = cpuShare(128);
  if (share === undefined) console.log("Not measured: the share of 128 MB. This user may not make a control group.");
  try {
    const head = ["CPU", "connections", "callers × statements", "time ÷ mysql2's", "longest wait ÷ mysql2's", "failed"];
    const table = new Table({ head, style: { head: [], border: [], compact: true } });
    for (const limited of [(command: readonly string[]) => command, ...(share ? [share.limited] : [])]) {
      for (const connectionLimit of [1, 4]) {
        for (const [callers, statements] of LOADS) {
          const { host, port, database, user, password } = server;
          const load: Load = {
            ...{ host, port, database, user, password, connectionLimit, callers, statements },
            rounds: rounds(callers),
          };
          const [program = "", ...args] = limited([process.execPath, outfile, JSON.stringify(load)]);
          const { stdout } = await run(program, args, { timeout: 600_000 });
          const played = JSON.parse(stdout) as readonly Readonly<Record<"ours" | "mysql2", LoadRound>>[];
          const ratio = (of: "ms" | "longestWaitMs"): string =>
            median(played.map(({ ours, mysql2 }) => ours[of] / mysql2[of])).toFixed(2);
          const failed = (side: "ours" | "mysql2"): number => played.reduce((sum, each) => sum + each[side].failed, 0);
          const cpu = limited === share?.limited ? "128 MB" : "whole";
          table.push([
            ...[cpu, connectionLimit, `${callers} × ${statements}`, ratio("ms"), ratio("longestWaitMs")],
            `${failed("ours")} (mysql2 ${failed("mysql2")})`,
          ]);
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
