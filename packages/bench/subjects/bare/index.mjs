/** One connection of mysql2's, begun during Init, and nothing else: SIGTERM's default action ends it. */
import mysql from "mysql2/promise";

const { DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD } = process.env;
const opening = mysql.createConnection({
  host: DB_HOST,
  port: Number(DB_PORT),
  database: DB_NAME,
  user: DB_USER,
  password: DB_PASSWORD,
});

export const handler = async () => {
  const connection = await opening;
  const [[answer]] = await connection.query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime");
  return answer;
};
