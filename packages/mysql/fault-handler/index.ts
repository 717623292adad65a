/** The function's own library under a handler that can be put into every state that a fault needs. */
import { setTimeout as sleep } from "node:timers/promises";
import { onShutdown, registerExtension } from "lambda-graceful-shutdown";
import { Database, databaseSettings } from "lambda-graceful-shutdown-mysql";
import { addFaultyListener } from "./faulty-listener.ts";
import { faultyHook } from "./faulty-hook.ts";
import { writeLog } from "./log.ts";

interface FaultEvent {
  readonly sleepSeconds?: number;
  readonly hold?: { readonly row: number; readonly ms?: number; readonly sleepSeconds?: number };
  readonly parallel?: number;
  readonly mixed?: boolean;
  /** How many statements run side by side for 30 seconds. */
  readonly busy?: number;
  readonly logBytes?: number;
  readonly sql?: string;
  readonly values?: unknown[];
  /** Milliseconds that the statement may take. */
  readonly timeoutMs?: number;
  readonly insert?: string;
  readonly transactionInsert?: string;
  readonly inTransaction?: readonly string[];
  /** Milliseconds since 1970. */
  readonly at?: number;
  readonly leave?: { readonly row: number };
  readonly sideBySide?: string;
  readonly nested?: boolean;
  /** Seconds. */
  readonly unawaited?: number;
  /** Runs statements without an end, and catches their errors. */
  readonly loop?: boolean;
  /** Milliseconds. */
  readonly slices?: number;
}

const database = new Database(databaseSettings(), { connectionLimit: Number(process.env["POOL_SIZE"] ?? 1) });
onShutdown("mysql", (context) => database.close(context));

// After the database's, so that it has its turn before that.
const hook = process.env["FAULT_HOOK"];
if (hook !== undefined) onShutdown("fault", faultyHook(hook));

const listener = process.env["FAULT_LISTENER"];
if (listener !== undefined) addFaultyListener(listener);

if (process.env["FAULT_OPEN"] !== "never") await database.open();
await registerExtension();

export const handler = async (event: FaultEvent): Promise<unknown> => {
  if (event.sleepSeconds !== undefined) return database.query("SELECT SLEEP(?)", [event.sleepSeconds]);
  if (event.hold !== undefined) return hold(event.hold);
  if (event.parallel !== undefined) return useAll(event.parallel);
  if (event.mixed === true) {
    await useAll(5);
    return Promise.all([hold({ row: 1, ms: 30_000 }), database.query("SELECT SLEEP(?)", [30])]);
  }
  if (event.busy !== undefined) {
    return Promise.all(Array.from({ length: event.busy }, () => database.query("SELECT SLEEP(30)")));
  }
  if (event.sql !== undefined) {
    const { sql, values, timeoutMs } = event;
    return printable(await database.query(sql, values, timeoutMs === undefined ? {} : { timeoutMs }));
  }
  if (event.insert !== undefined) return database.query(INSERT, [event.insert]);
  if (event.transactionInsert !== undefined) return insertInTransaction(event.transactionInsert);
  if (event.inTransaction !== undefined) return runInTransaction(event.inTransaction);
  if (event.at !== undefined) return timeOf(event.at);
  if (event.leave !== undefined) return leave(event.leave.row);
  if (event.sideBySide !== undefined) return sideBySide(event.sideBySide);
  if (event.nested === true) {
    return database.transaction(async (query) => {
      await query("SELECT 1");
      await database.query("SELECT 1");
    });
  }
  if (event.unawaited !== undefined) {
    void database.query("SELECT SLEEP(?)", [event.unawaited]);
    return "not awaited";
  }
  if (event.loop === true) for (;;) await database.query("SELECT 1").catch(() => undefined);
  if (event.slices !== undefined) return compute(event.slices);
  if (event.logBytes !== undefined) writeLog(event.logBytes);
  const [answer] = await database.query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime");
  return answer;
};

const INSERT = "INSERT INTO ledger VALUES (?)";

async function insertInTransaction(entry: string): Promise<void> {
  await database.transaction(async (query) => {
    await query(INSERT, [entry]);
  });
}

async function runInTransaction(statements: readonly string[]): Promise<void> {
  await database.transaction(async (query) => {
    for (const statement of statements) await query(statement);
  });
}

/** A time as the server reads it, and as the driver writes a `Date`. */
async function timeOf(ms: number): Promise<unknown> {
  const [row] = await database.query("SELECT FROM_UNIXTIME(?) AS `read`, ? AS written", [ms / 1000, new Date(ms)]);
  return row;
}

/** A transaction past `transaction()`, which nobody ends. */
async function leave(row: number): Promise<never> {
  await database.query("START TRANSACTION");
  await database.query("UPDATE account SET balance = balance + 1 WHERE id = ?", [row]);
  throw new Error("failed with a transaction left open");
}

/** Two branches in one transaction: one fails, and the other goes on after the ROLLBACK. */
async function sideBySide(entry: string): Promise<string> {
  let late: Promise<string> = Promise.resolve("never ran");
  const work = database.transaction(async (query) => {
    late = sleep(100)
      .then(() => query(INSERT, [entry]))
      .then(
        () => "ran",
        () => "refused",
      );
    await Promise.all([query("SELECT * FROM missing"), late]);
  });
  await work.catch(() => undefined);
  return late;
}

/** Blocks the event loop for 100 ms at a time. */
async function compute(ms: number): Promise<string> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const slice = performance.now() + 100;
    while (performance.now() < slice);
    await sleep(0);
  }
  return "computed";
}

/** What JSON has no form for. */
function printable(rows: unknown): unknown {
  return JSON.parse(
    JSON.stringify(rows, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
  );
}

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
