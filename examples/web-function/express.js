// The same with Express: AWS_LAMBDA_NODEJS_ENTRYPOINT=express.js
import express from "express";
import { closeOnShutdown } from "lambda-graceful-shutdown";
import mysql from "mysql2/promise";

const pool = closeOnShutdown(mysql.createPool({ uri: process.env.DATABASE_URL, connectionLimit: 4 }));
const [host, port] = (process.env.AWS_LAMBDA_HTTP_ENDPOINT ?? "127.0.0.1:3000").split(":");

const app = express();
app.get("/", async (_, response) => response.json((await pool.query("SELECT UTC_TIMESTAMP(3) AS serverTime"))[0]));
app.get("/slow", async (_, response) => response.json((await pool.query("SELECT SLEEP(0.2)"))[0]));
closeOnShutdown(app.listen(Number(port), host));
