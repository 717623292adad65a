/** What every rival does alike, so that they differ in nothing but the way they end: settings, and the faults' events. */
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
  const { sleepSeconds, hold, parallel, mixed, logBytes } = event;
  if (sleepSeconds !== undefined) return query("SELECT SLEEP(?)", [sleepSeconds]);
  if (hold !== undefined) return lock(hold, transaction);
  if (parallel !== undefined) return useAll(parallel, query);
  if (mixed === true) {
    await useAll(5, query);
    return Promise.all([lock({ row: 1, ms: 30_000 }, transaction), query("SELECT SLEEP(?)", [30])]);
  }
  if (logBytes !== undefined) writeLog(logBytes);
  const [row] = await query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime", []);
  return row;
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

/** {@link answer} on a pool of mysql2's. */
export function answerWithPool(event, pool) {
  const rows = (connection) => (sql, values) => connection.query(sql, values).then(([found]) => found);
  return answer(event, rows(pool), async (work) => {
    const connection = await pool.getConnection();
    try {
      await connection.beginTransaction();
      await work(rows(connection));
      await connection.commit();
    } finally {
      connection.release();
    }
  });
}
