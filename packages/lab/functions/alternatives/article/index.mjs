/** The article's way: one connection, `end()` is not awaited, then `process.exit(0)`. */
import mysql from "mysql2/promise";
import { answer, otherCleanUp, settings } from "../protocol.mjs";

const opening = settings().then((server) => mysql.createConnection(server));

export const handler = async (event) => {
  const connection = await opening;
  const query = (sql, values) => connection.query(sql, values).then(([rows]) => rows);
  return answer(event, query, async (work) => {
    await connection.beginTransaction();
    await work(query);
    await connection.commit();
  });
};

process.on("SIGTERM", async () => {
  await otherCleanUp();
  const connection = await opening;
  connection.end();
  process.exit(0);
});
