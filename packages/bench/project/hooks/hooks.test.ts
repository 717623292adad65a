/** Each sample of docs/hooks.md is compiled, invoked once, and shut down, with stand-ins for the libraries. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(__dirname, "../../../..");
const EXAMPLES = join(__dirname, "examples");
const QUEUE_URL = "https://sqs.example.com/orders";
const DATABASE = { DB_HOST: "127.0.0.1", DB_NAME: "app", DB_USER: "app", DB_PASSWORD: "not used", DB_TLS: "off" };

const folder = mkdtempSync(join(tmpdir(), "hooks-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What the sample's handler answers, and what the library was asked for at the shutdown. */
const SAMPLES = {
  redis: { event: {}, answer: "hello", asked: ["redis connect", "redis get greeting", "redis close"], hook: "redis" },
  postgres: { event: {}, answer: { now: "2026-11-25" }, asked: ["pg SELECT now() AS now", "pg end"], hook: "postgres" },
  prisma: { event: {}, answer: [{ one: 1 }], asked: ["prisma SELECT 1 AS one", "prisma disconnect"], hook: "prisma" },
  opentelemetry: { answer: undefined, asked: ["telemetry start", "telemetry shutdown"], hook: "telemetry" },
  sqs: {
    event: { message: "one" },
    answer: { waiting: 1 },
    asked: ["sqs one to https://sqs.example.com/orders"],
    hook: "queue",
  },
} as const;

function sample(name: string): string {
  return readFileSync(join(EXAMPLES, `${name}.ts`), "utf8");
}

test("the samples pass the type check", () => {
  const tsc = join(ROOT, "node_modules/typescript7/bin/tsc");
  execFileSync(process.execPath, [tsc, "--project", EXAMPLES], { encoding: "utf8" });
});

test("docs/hooks.md shows the samples as they are, and no other", () => {
  const document = readFileSync(join(ROOT, "docs/hooks.md"), "utf8");
  const shown = [...document.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code);
  expect(shown.sort()).toEqual(Object.keys(SAMPLES).map(sample).sort());
});

test.each(Object.entries(SAMPLES))("%s: it works, and its hook runs at SIGTERM", async (name, expected) => {
  const outfile = await bundle(name);
  const { event, answer } = { event: undefined, ...expected };
  const { output, signal } = await invokeAndEnd(outfile, event);
  expect(signal).toBe("SIGTERM");
  if (answer !== undefined) expect(output.split("\n")).toContain(JSON.stringify(answer));
  expect([...output.matchAll(/^stand-in: (.*)$/gm)].map(([, what]) => what)).toEqual(expected.asked);
  const line = output.split("\n").find((each) => each.startsWith('{"event":"shutdown"')) ?? "{}";
  const { hooks } = JSON.parse(line) as {
    readonly hooks: readonly { readonly name: string; readonly result: string }[];
  };
  expect(hooks).toContainEqual(expect.objectContaining({ name: expected.hook, result: "done" }));
  expect(hooks.filter(({ result }) => result !== "done")).toEqual([]);
  if (name === "sqs") expect(hooks).toMatchObject([{ sent: 1 }]);
});

test("sqs: messages that SQS refuses within a request that succeeds make the hook fail", async () => {
  const { output } = await invokeAndEnd(await bundle("sqs"), { message: "refuse this" });
  expect(output).toMatch(/"name":"queue","result":"failed".*SQS refused 1 messages: InvalidMessageContents/);
});

async function bundle(name: string): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  // CommonJS packages in the bundle ask for `require`.
  const banner = { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' };
  const entryPoints = [join(EXAMPLES, `${name}.ts`)];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", conditions: ["source"], banner });
  return outfile;
}

/** Imports the bundle, calls its handler if there is an event, and sends SIGTERM. */
async function invokeAndEnd(bundle: string, event: object | undefined): Promise<{ output: string; signal: unknown }> {
  const program = `
    const { handler } = await import(${JSON.stringify(bundle)});
    ${event === undefined ? "" : `console.log(JSON.stringify(await handler(${JSON.stringify(event)})));`}
    setInterval(() => 0, 1000);
    console.log("ready");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    env: { PATH: process.env["PATH"], QUEUE_URL, ...DATABASE },
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), 20_000); // one that cannot end must not hold up the rest
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      const wasReady = output.includes("ready");
      output += chunk.toString();
      if (!wasReady && output.includes("ready")) child.kill("SIGTERM");
    });
  }
  const [, signal] = (await once(child, "close")) as readonly unknown[];
  clearTimeout(limit);
  return { output, signal };
}
