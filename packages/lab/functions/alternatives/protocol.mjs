/** What every alternative does alike, so that they differ in nothing but the way they end: settings, and the faults' events. */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

/** Where the database is, for mysql2, from the same environment as the function's own. */
export async function settings() {
  const { DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD, DB_AUTH, DB_TLS } = process.env;
  const server = { host: DB_HOST, port: Number(DB_PORT), database: DB_NAME };
  const tls = DB_TLS === "verify" ? { ssl: { verifyIdentity: true } } : {};
  return { ...server, ...tls, ...(DB_AUTH === "secret" ? await secret() : { user: DB_USER, password: DB_PASSWORD }) };
}

async function secret() {
  const { SecretsManager } = await import("@aws-sdk/client-secrets-manager");
  const { SecretString } = await new SecretsManager().getSecretValue({ SecretId: process.env.DB_SECRET_ARN });
  const { username, password } = JSON.parse(SecretString);
  return { user: username, password };
}

export const poolSize = Number(process.env.POOL_SIZE ?? 1);

/**
 * Does what a fault's event asks for.
 *
 * @param query runs a statement on any connection and resolves with its rows
 * @param transaction calls its argument with a `query` of one connection, between START TRANSACTION and COMMIT
 */
export async function answer(event, query, transaction) {
  const { sleepSeconds, hold, parallel, mixed, logBytes, unawaited, slices } = event;
  const { sql, values, insert, transactionInsert, leave, sideBySide, nested } = event;
  if (sleepSeconds !== undefined) return query("SELECT SLEEP(?)", [sleepSeconds]);
  if (hold !== undefined) return lock(hold, transaction);
  if (parallel !== undefined) return useAll(parallel, query);
  if (mixed === true) {
    await useAll(5, query);
    return Promise.all([lock({ row: 1, ms: 30_000 }, transaction), query("SELECT SLEEP(?)", [30])]);
  }
  if (sql !== undefined) return query(sql, values ?? []);
  if (insert !== undefined) return query(INSERT, [insert]);
  if (transactionInsert !== undefined)
    return transaction((inTransaction) => inTransaction(INSERT, [transactionInsert]));
  if (leave !== undefined) return leaveOpen(leave, query);
  if (sideBySide !== undefined) return branches(sideBySide, transaction);
  if (nested === true) return transaction(() => query("SELECT 1", []));
  if (unawaited !== undefined) {
    void query("SELECT SLEEP(?)", [unawaited]);
    return "not awaited";
  }
  if (slices !== undefined) return compute(slices);
  if (logBytes !== undefined) writeLog(logBytes);
  const [row] = await query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime", []);
  return row;
}

const INSERT = "INSERT INTO ledger VALUES (?)";

/** A transaction that nobody ends. */
async function leaveOpen({ row }, query) {
  await query("START TRANSACTION", []);
  await query("UPDATE account SET balance = balance + 1 WHERE id = ?", [row]);
  throw new Error("failed with a transaction left open");
}

/** Two branches in one transaction: one fails, and the other goes on after the ROLLBACK. */
async function branches(entry, transaction) {
  let late = Promise.resolve("never ran");
  await transaction((query) => {
    late = sleep(100)
      .then(() => query(INSERT, [entry]))
      .then(
        () => "ran",
        () => "refused",
      );
    return Promise.all([query("SELECT * FROM missing", []), late]);
  }).catch(() => {});
  return late;
}

/** Blocks the event loop for 150 ms at a time. */
async function compute(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const slice = performance.now() + 150;
    while (performance.now() < slice);
    await sleep(0);
  }
  return "computed";
}

async function lock({ row, ms = 0, sleepSeconds }, transaction) {
  await transaction(async (query) => {
    await query("SELECT balance FROM account WHERE id = ? FOR UPDATE", [row]);
    if (sleepSeconds !== undefined) await query("SELECT SLEEP(?)", [sleepSeconds]);
    await sleep(ms);
  });
}

function useAll(count, query) {
  return Promise.all(Array.from({ length: count }, () => query("SELECT CONNECTION_ID(), SLEEP(0.1)", [])));
}

function writeLog(bytes) {
  const line = "x".repeat(999);
  for (let written = 0; written < bytes; written += line.length + 1) console.info(line);
}

/** Somebody else's part of the clean-up, which runs before the database's and goes wrong as FAULT_HOOK says. */
export async function otherCleanUp() {
  switch (process.env.FAULT_HOOK) {
    case "throws":
    case "rejects":
      throw new Error("the other clean-up failed");
    case "never":
      return new Promise(() => {});
    case "blocks": {
      const end = performance.now() + 200;
      while (performance.now() < end);
      return;
    }
    case "slow":
      return sleep(80);
    case "logs":
      return writeLog(1_000_000);
  }
}

/** Somebody else's SIGTERM listener, as FAULT_LISTENER says. */
switch (process.env.FAULT_LISTENER) {
  case "exits":
    process.on("SIGTERM", () => process.exit(0));
    break;
  case "throws":
    process.on("SIGTERM", () => {
      throw new Error("thrown by a listener");
    });
    break;
  case "rejects":
    process.on("SIGTERM", () => void Promise.reject(new Error("rejected by a listener")));
}

/** {@link answer} on a pool of mysql2's. */
export function answerWithPool(event, pool) {
  const rows = (connection) => (sql, values) => connection.query(sql, values).then(([found]) => found);
  return answer(event, rows(pool), async (work) => {
    const connection = await pool.getConnection();
    try {
      await connection.beginTransaction();
      await work(rows(connection));
      await connection.commit();
    } catch (error) {
      await connection.rollback().catch(() => {});
      throw error;
    } finally {
      connection.release();
    }
  });
}
