/** A common handler: a pool of five, and no clean-up. */
const mysql = require("mysql2/promise");

const pool = mysql.createPool({
  host: process.env.DB_HOST,
  port: Number(process.env.DB_PORT),
  user: process.env.DB_USER,
  password: process.env.DB_PASSWORD,
  database: process.env.DB_NAME,
  connectionLimit: 5,
});

exports.handler = async ({ sleepSeconds = 0.05 }) => {
  const rows = await Promise.all(Array.from({ length: 5 }, () => pool.query("SELECT SLEEP(?)", [sleepSeconds])));
  return { statusCode: 200, body: String(rows.length) };
};
