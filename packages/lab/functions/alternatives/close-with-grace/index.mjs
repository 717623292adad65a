/** close-with-grace as its documentation has it, around a pool of mysql2's. */
import closeWithGrace from "close-with-grace";
import mysql from "mysql2/promise";
import { answerWithPool, otherCleanUp, poolSize, settings } from "../protocol.mjs";

const pool = mysql.createPool({ ...(await settings()), connectionLimit: poolSize });

closeWithGrace({ delay: Number(process.env.SHUTDOWN_BUDGET_MS) - 50 }, async () => {
  await otherCleanUp();
  await pool.end();
});

export const handler = (event) => answerWithPool(event, pool);
