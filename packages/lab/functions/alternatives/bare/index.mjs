/** A pool of mysql2's and nothing else: SIGTERM's default action ends it. */
import mysql from "mysql2/promise";
import { answerWithPool, poolSize, settings } from "../protocol.mjs";

const pool = mysql.createPool({ ...(await settings()), connectionLimit: poolSize });

export const handler = (event) => answerWithPool(event, pool);
