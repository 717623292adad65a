/** serverless-mysql as its documentation has it: `end()` after each invocation, nothing on SIGTERM. */
import serverlessMysql from "serverless-mysql";
import { answer, settings } from "../protocol.mjs";

const mysql = serverlessMysql({ config: await settings() });

export const handler = async (event) => {
  const query = (sql, values) => mysql.query(sql, values);
  // Its own transaction() can only run statements, one after the other; it has one connection, so this is the same.
  const result = await answer(event, query, async (work) => {
    await mysql.query("START TRANSACTION");
    await work(query);
    await mysql.query("COMMIT");
  });
  await mysql.end();
  return result;
};
