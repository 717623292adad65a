/** The usual way outside Lambda: listen to SIGTERM, close the pool, then call process.exit(). */
const mysql = require("mysql2/promise");

const pool = mysql.createPool(process.env.THEIR_DSN);

exports.main = async () => {
  await pool.query("SELECT 1");
};

process.on("SIGTERM", async () => {
  await pool.end();
  process.exit(0);
});
