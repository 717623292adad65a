/** The function's own library under a handler that can be put into every state that a fault needs. */
import { onShutdown, tracked } from "../../function/shutdown";
import { setTimeout as sleep } from "node:timers/promises";
import { Database } from "../../function/database";
import { registerExtension } from "../../function/extension";
import { databaseSettings } from "../../function/settings";
import { faultyHook } from "./faulty-hook";
import { writeLog } from "./log";

interface FaultEvent {
  readonly sleepSeconds?: number;
  readonly hold?: { readonly row: number; readonly ms?: number; readonly sleepSeconds?: number };
  readonly parallel?: number;
  readonly mixed?: boolean;
  readonly logBytes?: number;
}

const database = new Database(databaseSettings(), { connectionLimit: Number(process.env["POOL_SIZE"] ?? 1) });
onShutdown("mysql", (context) => database.close(context));

// After the database's, so that it has its turn before that.
const hook = process.env["FAULT_HOOK"];
if (hook !== undefined) onShutdown("fault", faultyHook(hook));

if (process.env["FAULT_OPEN"] !== "never") void database.open();
await registerExtension();

export const handler = tracked(async (event: FaultEvent): Promise<unknown> => {
  if (event.sleepSeconds !== undefined) return database.query("SELECT SLEEP(?)", [event.sleepSeconds]);
  if (event.hold !== undefined) return hold(event.hold);
  if (event.parallel !== undefined) return useAll(event.parallel);
  if (event.mixed === true) {
    await useAll(5);
    return Promise.all([hold({ row: 1, ms: 30_000 }), database.query("SELECT SLEEP(?)", [30])]);
  }
  if (event.logBytes !== undefined) writeLog(event.logBytes);
  const [answer] = await database.query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime");
  return answer;
});

/** Locks a row, then waits: without a statement, or in one. */
async function hold({ row, ms = 0, sleepSeconds }: NonNullable<FaultEvent["hold"]>): Promise<void> {
  await database.transaction(async (query) => {
    await query("SELECT balance FROM account WHERE id = ? FOR UPDATE", [row]);
    if (sleepSeconds !== undefined) await query("SELECT SLEEP(?)", [sleepSeconds]);
    await sleep(ms);
  });
}

/** Each sleeps long enough for all to be under way, so that no connection is used twice. */
async function useAll(count: number): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, () => database.query("SELECT CONNECTION_ID(), SLEEP(0.1)")));
}
