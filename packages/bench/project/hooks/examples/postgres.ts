import { Pool } from "pg";
import { onShutdown } from "lambda-graceful-shutdown";

// `ssl: true` checks the server's certificate and its name.
const pool = new Pool({ max: 1, ssl: true, statement_timeout: 10_000 });
pool.on("error", (error: Error) => {
  console.warn(`postgres: ${error.message}`); // an idle connection that the server ended
});
// end() waits for the client that runs a statement. statement_timeout limits that.
onShutdown("postgres", () => pool.end());

export const handler = async () => {
  const { rows } = await pool.query("SELECT now() AS now");
  return rows[0];
};
