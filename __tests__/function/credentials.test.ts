/** Run by the Node.js of the runtime, as in Lambda: what the function asks of `node:tls` is not in every Node.js. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { lambdaRuntime } from "../../lab/lambda-runtime";

const CREDENTIALS = join(__dirname, "../../function/credentials.ts");
const [node = ""] = lambdaRuntime("nodejs24.x").command;

/** What mysql2 would be given, for these settings. */
function credentials(login: object, program: string): unknown {
  const settings = { host: "db.example", port: 3306, name: "shop", tls: "verify", login };
  const code = `
    const { credentials } = await import(${JSON.stringify(CREDENTIALS)});
    const options = await credentials(${JSON.stringify(settings)});
    console.log(JSON.stringify(await (async () => { ${program} })()));
  `;
  const { stdout, stderr } = spawnSync(node, ["--import", require.resolve("tsx"), "--input-type=module", "-e", code], {
    encoding: "utf8",
    env: { AWS_REGION: "eu-west-1", AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "not-a-secret" },
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

test("IAM: each connect gets a token of its own, for this host and user, and the clear-text plugin is for that alone", () => {
  const { first, second, user, plugins, password } = credentials(
    { type: "iam", user: "app" },
    `
      const token = async () => String(await options.authPlugins.mysql_clear_password()());
      const first = await token();
      await new Promise((done) => setTimeout(done, 1100)); // a signature has the time in it, to the second
      return { first, second: await token(), user: options.user, plugins: Object.keys(options.authPlugins), password: options.password };
    `,
  ) as { first: string; second: string; user: string; plugins: string[]; password?: string };
  const url = new URL(`https://${first.slice(0, -1)}`);
  expect(first.endsWith("\0")).toBe(true);
  expect(url.host).toBe("db.example:3306");
  expect(url.searchParams.get("DBUser")).toBe("app");
  expect(url.searchParams.get("X-Amz-Expires")).toBe("900");
  expect(url.searchParams.get("X-Amz-Credential")).toContain("/eu-west-1/rds-db/");
  expect(second).not.toBe(first);
  expect({ user, plugins, password }).toEqual({ user: "app", plugins: ["mysql_clear_password"], password: undefined });
});

test("TLS: RDS's authorities, TLS 1.2 at the least, and the certificate has to name the host", () => {
  const { ssl } = credentials({ type: "password", user: "app", password: "x" }, "return { ssl: options.ssl };") as {
    ssl: { ca: string[] };
  };
  expect(ssl).toMatchObject({ verifyIdentity: true, minVersion: "TLSv1.2" });
  expect(ssl).not.toHaveProperty("rejectUnauthorized", false);
  expect(ssl.ca.length).toBeGreaterThan(50);
});
