/** The article's way, for comparison: `end()` is not awaited, then `process.exit(0)`. */
const mysql = require("mysql2/promise");

const opening = mysql.createConnection({
  host: process.env.DB_HOST,
  port: Number(process.env.DB_PORT),
  database: process.env.DB_NAME,
  user: process.env.DB_USER,
  password: process.env.DB_PASSWORD,
});

exports.handler = async (event) => {
  const connection = await opening;
  if (event?.sleepSeconds > 0) await connection.query("SELECT SLEEP(?)", [event.sleepSeconds]);
  const [[answer]] = await connection.query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime");
  return answer;
};

process.on("SIGTERM", async () => {
  const connection = await opening;
  connection.end();
  process.exit(0);
});
