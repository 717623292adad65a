// A Web Function: an HTTP server that ends its requests and closes its pool when Lambda removes the environment.
import { createServer } from "node:http";
import { closeOnShutdown } from "lambda-graceful-shutdown";
import mysql from "mysql2/promise";

const pool = closeOnShutdown(mysql.createPool({ uri: process.env.DATABASE_URL, connectionLimit: 4 }));
const [host, port] = (process.env.AWS_LAMBDA_HTTP_ENDPOINT ?? "127.0.0.1:3000").split(":");

const server = createServer((request, response) => {
  pool.query(request.url === "/slow" ? "SELECT SLEEP(0.2)" : "SELECT UTC_TIMESTAMP(3) AS serverTime").then(
    ([rows]) => response.setHeader("content-type", "application/json").end(JSON.stringify(rows)),
    (error) => {
      console.error(error);
      response.writeHead(500).end();
    },
  );
});
closeOnShutdown(server.listen(Number(port), host));
