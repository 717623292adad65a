/** A project of one's own by `npx cdktf init --template`, with the real CLI. */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { zipSync } from "fflate";
import { Fork, succeeded, type Ended } from "./fork";

jest.setTimeout(120_000);

const fork = new Fork();
const cdktf = resolve("node_modules/.bin/cdktf");
const scratch = mkdtempSync(join(tmpdir(), "init-"));
let server: Server;

beforeAll(async () => {
  const files = Object.fromEntries(fork.files.map((file) => [`template-main/${file}`, fork.read(file)]));
  const zip = zipSync(files, { level: 1 });
  server = createServer((_, response) => response.end(zip)).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterAll(() => {
  server.close();
  rmSync(scratch, { recursive: true, force: true });
});

function init(folder: string, environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { port } = server.address() as AddressInfo;
  const template = `http://127.0.0.1:${port}/template.zip`;
  const options = '--local --project-name "Orders API" --project-description orders --enable-crash-reporting false';
  return fork.run(`cd ${folder} && ${cdktf} init --template ${template} ${options}`, environment);
}

test("the copy has its own names, says what to run, and synthesizes", async () => {
  expect(succeeded(await init(scratch)).output).toMatch(
    /orders-api is ready\.(.|\n)*npm start(.|\n)*npm test(.|\n)*npx cdktf deploy/,
  );

  const json = (file: string): unknown => JSON.parse(readFileSync(join(scratch, file), "utf8"));
  expect(json("package.json")).toMatchObject({ name: "orders-api", version: "0.1.0" });
  expect(json("package-lock.json")).toMatchObject({ name: "orders-api", packages: { "": { name: "orders-api" } } });
  expect(json("lab.config.json")).toMatchObject({ stack: "orders-api" });
  expect(json("cdktf.json")).toMatchObject({ projectId: expect.stringMatching(/^[\da-f-]{36}$/) as string });

  symlinkSync(resolve("node_modules"), join(scratch, "node_modules"));
  succeeded(await fork.run(`cd ${scratch} && node --conditions=source --import tsx main.ts`));
  expect(json("cdktf.out/stacks/orders-api/cdk.tf.json")).toMatchObject({
    resource: { aws_lambda_function: expect.anything() as object },
  });
  expect(readFileSync(join(scratch, "main.ts"), "utf8")).not.toContain('"graceful-shutdown"');
});

test("a wrong LGS_TEMPLATE is an error that names what is allowed", async () => {
  const { status, output } = await init("$(mktemp -d)", { LGS_TEMPLATE: "tarballs" });
  expect(status).not.toBe(0);
  expect(output).toContain('LGS_TEMPLATE "tarballs" is not one of sources, packages');
});
