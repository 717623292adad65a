/** One connection. On SIGTERM it is closed; the process then leaves by process.exit(), or by the signal again. */
import mysql from "mysql2/promise";

const connection = await mysql.createConnection(process.env.MYSQL_URL);
if (process.env.ON_SIGTERM !== undefined) {
  process.once("SIGTERM", async () => {
    await connection.end();
    if (process.env.ON_SIGTERM === "exit") process.exit(0);
    process.removeAllListeners("SIGTERM");
    process.kill(process.pid, "SIGTERM");
  });
}

export const handler = async () => (await connection.query("SELECT 1 AS one"))[0];
