/** The lab's command line, as a user calls it: against a real MySQL server, on AWS's runtime client. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify, stripVTControlCharacters } from "node:util";
import { buildSync } from "esbuild";
import { strToU8, zipSync } from "fflate";
import { version } from "../package.json";

const ROOT = join(__dirname, "../../..");
const USER_HANDLERS = join(__dirname, "user-handlers");
const CACHE = join(ROOT, "node_modules/.cache");
// Below the root, where the synthesized function finds the AWS SDK, as it does in Lambda.
mkdirSync(CACHE, { recursive: true });
const scratch = mkdtempSync(join(CACHE, "lab-"));
const environment = {
  ...process.env,
  ...{ MYSQL_URL: "", CDKTF_OUTDIR: join(scratch, "cdktf.out"), NO_COLOR: "1" },
  FORCE_COLOR: undefined, // which Jest sets on a terminal
};
const COMMAND = ["--import", "tsx", "packages/lab/cli/lab.ts"];

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function lab(...args: readonly string[]): Promise<Outcome> {
  return labIn(environment, ...args);
}

/** A server program that is found first and does not start, so that the lab uses the fake. */
function withoutServer(): NodeJS.ProcessEnv {
  const directory = join(scratch, "no-server");
  mkdirSync(directory, { recursive: true });
  const program = `#!/bin/sh\ncase "$*" in *--version*) echo 10.11.0-MariaDB;; *) exit 1;; esac\n`;
  writeFileSync(join(directory, "mariadbd"), program, { mode: 0o755 });
  return { ...environment, PATH: `${directory}:${process.env["PATH"] ?? ""}` };
}

async function labIn(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Outcome> {
  try {
    const options = { cwd: ROOT, env };
    return { code: 0, ...(await promisify(execFile)(process.execPath, [...COMMAND, ...args], options)) };
  } catch (error) {
    return error as Outcome;
  }
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(scratch, name);
  writeFileSync(path, content);
  return path;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

/** Of the JSON that `run` and `compare` print, what is looked at here. */
interface Printed {
  readonly clean: boolean;
  readonly change?: string;
  readonly runtime: { readonly name: string; readonly description: string };
  readonly result: Result;
  readonly results: readonly Result[];
}
interface Result {
  readonly subject: string;
  readonly end: string;
  readonly invocations: readonly { readonly ok: boolean }[];
  readonly outcomes: readonly string[];
  readonly abortedClients: number;
  readonly logs: readonly string[];
  readonly logIn: { readonly auth: string; readonly tls: string };
  readonly shutdown: { readonly endedBy: string };
  readonly timeline: readonly { readonly what: string }[];
}

test("run takes the synthesized function through the events of a file, freezes it, and ends with 0", async () => {
  const events = file("events.jsonl", '{"order":1}\n\n{"order":2}\n{"order":3}\n');
  const { code, stdout, stderr } = await lab("run", "--events", events, "--frozen", "50", "--json");
  const { clean, change, result } = JSON.parse(stdout) as Printed;
  expect({ code, clean, change, end: result.end, outcomes: result.outcomes }).toEqual({
    ...{ code: 0, clean: true, change: undefined, end: "spindown", outcomes: ["closed"] },
  });
  expect(result.invocations.map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(result.timeline.map(({ what }) => what)).toContain("frozen");
  expect(stderr).toContain("aws-lambda-ric");
});

test.each([
  ["--auth secret", { auth: "secret", tls: "verified" }],
  ["--auth iam", { auth: "iam", tls: "verified" }],
  ["--auth password", { auth: "password", tls: "verified" }],
  ["--auth password --env DB_TLS=off", { auth: "password", tls: "none" }],
])("run %s gives everything back, and says how it logged in", async (args, logIn) => {
  const { code, stdout } = await lab("run", ...args.split(" "), "--end", "idle", "--json");
  const { clean, result } = JSON.parse(stdout) as Printed;
  expect({ code, clean, logIn: result.logIn, outcomes: result.outcomes }).toEqual({
    ...{ code: 0, clean: true, logIn, outcomes: ["closed"] },
  });
});

test("what is deployed does not log in to a server whose certificate it does not trust, or with another secret", async () => {
  const untrusted = await lab("run", "--end", "idle", "--env", `NODE_EXTRA_CA_CERTS=${file("none.pem", "")}`, "--json");
  const { clean, result } = JSON.parse(untrusted.stdout) as Printed;
  expect({ clean, logIn: result.logIn }).toEqual({ clean: false, logIn: { auth: "secret", tls: "unknown" } });
  const other = await lab("run", "--end", "idle", "--env", "DB_SECRET_ARN=arn:aws:secretsmanager:us-east-1:0:secret:b");
  expect(other.stdout).toContain("ResourceNotFoundException");
  expect(other.stdout).toContain("log-in: secret from the lab's fake of Secrets Manager, no connection");
});

const READS_A_SECRET = `
import { readFileSync } from "node:fs";
import { SecretsManager } from "@aws-sdk/client-secrets-manager";
import mysql from "mysql2/promise";
const { SecretString } = await new SecretsManager().getSecretValue({ SecretId: process.env.MY_SECRET });
const { username, password } = JSON.parse(SecretString);
const { DB_HOST: host, DB_PORT: port, DB_NAME: database } = process.env;
const ssl = { ca: readFileSync(process.env.MY_CA), verifyIdentity: true };
const pool = mysql.createPool({ host, port: Number(port), database, user: username, password, ssl });
export const handler = async () => {
  const withPassword = Object.keys(process.env).filter((name) => /PASSWORD|URL$/.test(name));
  return { withPassword, rows: (await pool.query("SELECT 1"))[0] };
};
process.once("SIGTERM", async () => { await pool.end(); process.kill(process.pid, "SIGTERM"); });`;

test("--auth secret gives a handler of yours a secret and TLS in the place of a password", async () => {
  const directory = mkdtempSync(join(scratch, "secret-"));
  writeFileSync(join(directory, "index.mjs"), READS_A_SECRET);
  const variables = ["--env", "MY_SECRET={secret}", "--env", "MY_CA={ca}"];
  const { code, stdout } = await lab("run", "--handler", directory, "--auth", "secret", ...variables, "--json");
  const { result } = JSON.parse(stdout) as Printed;
  expect(result.invocations).toMatchObject([{ ok: true, payload: { withPassword: [] } }]);
  expect({ code, logIn: result.logIn, outcomes: result.outcomes }).toEqual({
    ...{ code: 0, logIn: { auth: "secret", tls: "verified" }, outcomes: ["closed"] },
  });
});

test("a handler of yours that speaks TLS and logs in with its password is seen to close with COM_QUIT", async () => {
  const directory = mkdtempSync(join(scratch, "tls-"));
  const withTls = READS_A_SECRET.replace(/const \{ SecretString[^]*?SecretString\);/, "")
    .replace(/^import \{ SecretsManager.*$/m, "")
    .replace("const { DB_HOST", "const { DB_USER: username, DB_PASSWORD: password, DB_HOST");
  writeFileSync(join(directory, "index.mjs"), withTls);
  const { stdout } = await lab("run", "--handler", directory, "--env", "MY_CA={ca}", "--json");
  const { result } = JSON.parse(stdout) as Printed;
  expect({ logIn: result.logIn, outcomes: result.outcomes }).toEqual({
    ...{ logIn: { auth: "password", tls: "used" }, outcomes: ["closed"] },
  });
});

test("run --end timeout shows the reset in the middle of a statement, and the connection closed all the same", async () => {
  const { code, stdout } = await lab("run", "--end", "timeout", "--timeout", "1");
  expect(stdout).toMatch(/Invoke {4}Sandbox\.Timedout, reset\n.*Shutdown {2}SIGTERM to the runtime\n/);
  expect(stdout).toMatch(/Shutdown {2}COM_QUIT to the server/);
  expect(lastLine(stdout)).toMatch(/^✓ this function gave every connection back/);
  expect(code).toBe(0);
});

test("run --end failure kills the process in an invocation: the server counts its connection as aborted, and it ends with 1", async () => {
  const { code, stdout } = await lab("run", "--end", "failure", "--json");
  const { clean, result } = JSON.parse(stdout) as Printed;
  expect({ code, clean, end: result.end, outcomes: result.outcomes, aborted: result.abortedClients }).toEqual({
    ...{ code: 1, clean: false, end: "failure", outcomes: ["aborted"], aborted: 1 },
  });
  expect(result.timeline.map(({ what }) => what)).toEqual(
    expect.arrayContaining(["SIGKILL out of turn", "Runtime.ExitError, reset"]),
  );
  expect(result.shutdown.endedBy).toBe("gone before");
});

test("run --extension internal has the function register its own, which is worth 500 ms, and needs no other", async () => {
  const { code, stdout } = await lab("run", "--extension", "internal", "--end", "idle", "--json");
  const { clean, result } = JSON.parse(stdout) as Printed;
  expect({ code, clean, end: result.end, outcomes: result.outcomes }).toEqual({
    ...{ code: 0, clean: true, end: "idle", outcomes: ["closed"] },
  });
  const said = result.timeline.map(({ what }) => what);
  expect(said.filter((what) => /^extension .* registered$/.test(what))).toEqual([
    expect.stringContaining("shutdown") as string,
  ]);
  expect(said.indexOf("runtime started")).toBeLessThan(said.findIndex((what) => what.endsWith(" registered")));
  expect(result.logs.join("\n")).toContain('"budgetMs":500');
});

test("run --runtime takes its Node.js from npm; without a compiler the lab uses its own client, and says so", async () => {
  const bin = mkdtempSync(join(scratch, "bin-"));
  symlinkSync(process.execPath, join(bin, "node"));
  const pool = join(USER_HANDLERS, "pool");
  const { stdout } = await labIn(
    { ...environment, PATH: bin },
    "run",
    "--handler",
    pool,
    "--runtime",
    "nodejs22.x",
    "--json",
  );
  const { runtime, result } = JSON.parse(stdout) as Printed;
  expect(runtime.name).toBe("nodejs22.x");
  // AWS's client, where it was compiled before.
  expect(runtime.description).toMatch(/^Node\.js v22\.\d+\.\d+, (aws-lambda-ric|the lab's own runtime client .*cmake)/);
  expect(result.invocations.map(({ ok }) => ok)).toEqual([true]);
}, 120_000);

test("compare tells a handler with a pool of five and no shutdown code what to change, with code to copy", async () => {
  const { code, stdout } = await lab("compare", "--handler", join(USER_HANDLERS, "pool"), "--name", "theirs");
  // A column more where the layer has been built.
  expect(stdout).toMatch(/│ +│ theirs +│( theirs, attached +│)? this function +│ the article's way +│ no extension +│/);
  expect(stdout).toMatch(/│ Connection +│ 5 × aborted +│( 5 × clean close +│)? clean close +│/);
  expect(stdout).toContain("✗ theirs did not give every connection back: 5 opened, 0 closed with COM_QUIT, 5 aborted");
  expect(stdout).toMatch(/^To change: Nothing listens to SIGTERM.*opened at index\.js:\d+ by mysql2/m);
  expect(stdout).toContain("\n    NODE_OPTIONS=--import=lambda-graceful-shutdown/attach\n");
  expect(stdout).toContain("extension: assumed");
  expect(code).toBe(1);
});

test("run tells the same handler, without an extension, to register one: all five are leaked", async () => {
  const pool = join(USER_HANDLERS, "pool");
  const { code, stdout } = await lab("run", "--handler", pool, "--extension", "none", "--end", "idle", "--json");
  const { clean, change, result } = JSON.parse(stdout) as Printed;
  expect(result.outcomes).toEqual(Array(5).fill("leaked"));
  expect(change).toMatch(/^No extension is registered/);
  expect({ code, clean }).toEqual({ code: 1, clean: false });
});

test("compare takes a zip with an entry and variables of its own, and tells that process.exit() hung", async () => {
  const { outputFiles } = buildSync({
    ...{ entryPoints: [join(USER_HANDLERS, "exits/index.js")], bundle: true, platform: "node", write: false },
  });
  const zip = file("exits.zip", zipSync({ src: { "app.js": outputFiles[0]?.contents ?? strToU8("") } }));
  const { code, stdout } = await lab(
    ...["compare", "--handler", zip, "--entry", "src/app.main", "--env", "THEIR_DSN={url}", "--json"],
  );
  const { change, results } = JSON.parse(stdout) as Printed;
  expect(results[0]).toMatchObject({
    ...{ subject: "exits", outcomes: ["closed"], shutdown: { endedBy: "SIGKILL at its deadline" } },
  });
  expect(change).toMatch(/^It closed every connection, then .*called process\.exit\(\)/);
  const others = results.slice(1).filter(({ subject }) => !subject.endsWith(", attached"));
  expect(others.map(({ outcomes }) => outcomes)).toEqual([["closed"], ["closed"], ["leaked"]]);
  expect(code).toBe(1);
});

interface Faults {
  readonly clean: boolean;
  readonly played: readonly { readonly fault: string; readonly survived: boolean; readonly problems: string[] }[];
  readonly notPlayed: readonly { readonly fault: string; readonly why: string }[];
}

test("faults plays what is deployed, survives every row, and says which were not played and why", async () => {
  const { code, stdout, stderr } = await lab("faults", "--json");
  const { clean, played, notPlayed } = JSON.parse(stdout) as Faults;
  expect(played.filter(({ survived }) => !survived)).toEqual([]);
  expect(played.map(({ fault }) => fault)).toEqual(
    expect.arrayContaining(["server killed", "function timeout in a long query", "TLS, wrong name"]),
  );
  expect(notPlayed.map(({ fault }) => fault)).toContain("a hook throws");
  expect({ code, clean }).toEqual({ code: 0, clean: true });
  expect(stderr).toContain(`fault 1 of ${played.length}: idle`);
}, 300_000);

test("faults plays a user handler the rows that its one event allows, and finds what it does not survive", async () => {
  const { code, stdout } = await lab("faults", "--handler", join(USER_HANDLERS, "pool"));
  expect(stdout).toMatch(/│ idle +│ not survived +│ Aborted_clients: \+5/);
  expect(stdout).toMatch(/│ connect refused +│ survived +│/);
  expect(stdout).toMatch(
    /Not played: \d+ rows, since .*--slow-event\):\n {2}function timeout in a long query; SIGTERM in an/,
  );
  expect(stdout).toContain("Use the run command with the same --handler");
  expect(code).toBe(1);
});

/** Of the JSON that `storm` prints, what is looked at here. */
interface Storms {
  readonly clean: boolean;
  readonly seed: number;
  readonly results: readonly {
    readonly subject: string;
    readonly peakEnvironments: number;
    readonly cpu: { readonly labMs: number; readonly functionsMs: number };
  }[];
  readonly sampling: { readonly connections: number };
}

// A process of its own, because in one of jest's processes jest's work would count as the lab's.
test("storm takes less than half of the CPU time of what it runs, leaves nothing behind, and ends with 0", async () => {
  const { code, stdout } = await lab(
    ..."storm --subject ours --environments 24 --seconds 3 --seed 7 --json".split(" "),
  );
  const { clean, seed, results, sampling } = JSON.parse(stdout) as Storms;
  expect({ code, clean, seed, connections: sampling.connections }).toEqual({
    ...{ code: 0, clean: true, seed: 7, connections: 24 },
  });
  expect(results.map(({ subject, peakEnvironments }) => ({ subject, peakEnvironments }))).toEqual([
    { subject: "this function", peakEnvironments: 24 },
  ]);
  for (const { cpu } of process.platform === "linux" ? results : []) {
    expect(cpu.labMs).toBeLessThan(cpu.functionsMs / 2);
  }
});

test("without Docker, --image ends with 1 and says what to do", async () => {
  const withoutDocker = { ...environment, PATH: join(scratch, "nothing") };
  const pool = join(USER_HANDLERS, "pool");
  const image = "public.ecr.aws/lambda/nodejs:24";
  const { code, stdout, stderr } = await labIn(withoutDocker, "run", "--handler", pool, "--image", image);
  expect(lastLine(stderr)).toBe("error: docker: not found; install Docker or leave --image out");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
});

test("Ctrl-C ends it with 130 and leaves no directory", async () => {
  const temporary = mkdtempSync(join(scratch, "tmp-"));
  const child = spawn(
    process.execPath,
    [...COMMAND, "run", "--handler", join(USER_HANDLERS, "pool"), "--frozen", "60000"],
    {
      cwd: ROOT,
      env: { ...environment, TMPDIR: temporary },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const exited = once(child, "exit");
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  // Without the second condition, the test would wait for ever for a lab that fails.
  while (!said.includes("Init, Invoke") && child.exitCode === null) await sleep(20);
  expect(said).toContain("Init, Invoke");
  await sleep(300); // in the frozen time or just before it; both are fine
  const left = (): string[] => readdirSync(temporary).filter((name) => name.startsWith("lab-"));
  expect(left().length).toBeGreaterThan(0);
  child.kill("SIGINT");
  expect(await exited).toEqual([130, null]);
  const deadline = performance.now() + 5_000;
  while (left().length > 0 && performance.now() < deadline) await sleep(20);
  expect(left()).toEqual([]);
}, 30_000);

test("where nothing can be written over, progress is plain lines: one when a step begins, one when it ends", async () => {
  const { stderr } = await lab("run", "--end", "idle");
  expect(stderr.split("\n").map((line) => line.slice(0, 7))).toEqual([
    ...["- synth", "✓ synth", "✓ funct", "- prepa", "✓ runti", "- start", "✓ datab", "- this ", "✓ this ", ""],
  ]);
});

test("on a terminal, which script(1) is, a spinner says how far it is and gives way to what it came to", async () => {
  const command = [
    process.execPath,
    ...COMMAND,
    ..."storm --subject ours --environments 2 --seconds 3".split(" "),
  ].join(" ");
  const env: NodeJS.ProcessEnv = { ...environment, TERM: "xterm" };
  delete env["CI"]; // where spinners are not for people
  const options = { cwd: ROOT, env };
  const wide = `stty cols 200; ${command}`;
  // Linux has util-linux's, macOS BSD's.
  const script = process.platform === "linux" ? ["-qec", wide, "/dev/null"] : ["-q", "/dev/null", "sh", "-c", wide];
  const { stdout } = await promisify(execFile)("script", script, options);
  expect(stdout).toContain("2 environments, scale-up and 3 s: storm, 2 of 2 environments are there");
  // What a line of the terminal shows in the end is what was written after it was erased for the last time.
  const shown = stdout.split("\r\n").map((line) => stripVTControlCharacters(line.split("\u001b[0K").at(-1) ?? ""));
  expect(shown.slice(0, 6).map((line) => line.slice(0, 7))).toEqual([
    ...["✓ synth", "✓ funct", "✓ runti", "✓ datab", "✓ seed ", "✓ storm"],
  ]);
});

describe("wrong usage ends with 2 and says what is wrong", () => {
  const pool = join(USER_HANDLERS, "pool");
  test.each([
    ["an unknown option", ["run", "--jsno"], "unknown option '--jsno'"],
    ["an unknown command", ["rnu"], "unknown command 'rnu'"],
    ["no command", [], "Usage: lambda-shutdown-lab [options] [command]"],
    ["a wrong choice", ["run", "--end", "never"], "Allowed choices are spindown, idle, timeout, failure."],
    ["a variable without a value", ["compare", "--env", "HOST"], "Expected NAME=VALUE."],
    ["a bad file of events", ["run", "--events", file("bad.jsonl", "{}\n{]\n")], "Line 2: "],
    ["a file of events that is not there", ["run", "--events", join(scratch, "none.json")], "There is no such file."],
    [
      "an export that there is not",
      ["run", "--handler", pool, "--entry", "index.nobody", "--end", "idle"],
      '--entry "index.nobody": index.nobody is undefined or not exported',
    ],
    ["a handler that is not there", ["compare", "--handler", join(scratch, "nowhere")], 'nowhere" does not exist'],
    ["a time-out that nothing causes", ["run", "--handler", pool, "--end", "timeout"], "needs --slow-event <json>"],
    ["a name of nothing", ["run", "--handler", pool, "--name", ""], "Expected a text in one line"],
    ["a source file as a handler", ["run", "--handler", join(pool, "index.js")], "give its directory"],
    ["an emulator that is none", ["run", "--handler", pool, "--emulator", scratch], "is not a program"],
    ["a report into nowhere", ["run", "--reporter", `junit=${join(scratch, "no/lab.xml")}`], "a directory that exists"],
    ["an entry of nothing", ["faults", "--entry", "index.handler"], "--entry needs --handler <path>"],
    ["a runtime that there is not", ["run", "--runtime", "nodejs20.x"], "Allowed choices are nodejs24.x, nodejs22.x"],
    ["a storm of nobody", ["storm", "--environments", "0"], "Expected a whole number from 1 to 1000."],
    ["a report of nothing", ["report", "--data", join(scratch, "nowhere.json")], "nowhere.json"],
  ])("%s", async (_, args, message) => {
    const { code, stdout, stderr } = await lab(...args);
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

test("a reader that leaves early is no error", async () => {
  const command = `"${process.execPath}" ${COMMAND.join(" ")} run --help | head -n 1; exit "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = await promisify(execFile)("bash", ["-c", command], { cwd: ROOT, env: environment });
  expect({ stdout, stderr }).toEqual({ stdout: "Usage: lambda-shutdown-lab run [options]\n", stderr: "" });
});

test("--version and help exist", async () => {
  expect(await lab("--version")).toMatchObject({ code: 0, stdout: `${version}\n` });
  const { code, stdout } = await lab("help", "storm");
  expect({ code, usage: stdout.split("\n")[0] }).toEqual({
    code: 0,
    usage: "Usage: lambda-shutdown-lab storm [options]",
  });
});

test("a directory may have any name, and connections that the lab does not watch, a child's as well, are named with their --tcp", async () => {
  const directory = join(scratch, "ü 日本");
  mkdirSync(directory);
  writeFileSync(
    join(directory, "index.js"),
    `const { spawn } = require("node:child_process");
const connect = 'require("net").connect(process.env.ELSEWHERE, "127.0.0.1", () => console.log("connected"))';
const child = spawn(process.execPath, ["--eval", connect], { stdio: ["ignore", "pipe", "inherit"] });
exports.handler = () => new Promise((done) => { child.stdout.once("data", () => eval(connect).once("connect", () => done(1))); });`,
  );
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const args = ["run", "--handler", directory, "--env", `ELSEWHERE=${port}`, "--end", "idle"];
  const { code, stdout } = await lab(...args);
  server.close();
  expect(code).toBe(3);
  const unwatched = `2 connections to 127.0.0.1:${port}, which the lab does not watch: --tcp NAME=127.0.0.1:${port}`;
  if (process.platform === "linux") expect(stdout).toContain(unwatched);
});

test("--help of each command has examples and the exit codes, and ends with 0", async () => {
  const commands = ["run", "compare", "faults", "storm", "report"];
  const outcomes = await Promise.all(commands.map((command) => lab(command, "--help")));
  for (const [index, { code, stdout }] of outcomes.entries()) {
    expect(stdout).toContain(`  $ npx lambda-shutdown-lab ${commands[index] ?? ""}`);
    expect(stdout).toContain("Exit code: 0 clean, 1 not clean");
    expect(code).toBe(0);
  }
});

describe("without a MySQL server", () => {
  test("run plays what is deployed: the relay is the end of TLS, which the fake does not have", async () => {
    const { code, stdout } = await labIn(withoutServer(), "run", "--end", "idle", "--json");
    const { clean, result } = JSON.parse(stdout) as Printed;
    expect({ code, clean, logIn: result.logIn, outcomes: result.outcomes }).toEqual({
      ...{ code: 0, clean: true, logIn: { auth: "secret", tls: "verified" }, outcomes: ["closed"] },
    });
  });

  test("a storm counts what the lab saw, and no counter that the fake does not have", async () => {
    const theirs = ["--handler", join(USER_HANDLERS, "exits"), "--entry", "index.main", "--env", "THEIR_DSN={url}"];
    const args = [...theirs, "--subject", "ours", "--extension", "none", "--environments", "2", "--seconds", "1"];
    const { stdout, stderr } = await labIn(withoutServer(), "storm", ...args);
    expect(stderr).toContain("fake: the lab's half of MySQL's protocol");
    expect(stdout).toContain("aborted (as the lab saw it)");
    expect(stdout).not.toMatch(/NaN|Aborted_clients/);
  }, 120_000);
});

test("report takes a handler of yours, also one whose Init fails, and prints its verdict beside the data", async () => {
  const size = ["--environments", "2", "--seconds", "1", "--no-faults", "--json"];
  const { stdout, code } = await lab("report", "--handler", join(USER_HANDLERS, "exits"), ...size);
  const found = JSON.parse(stdout) as Record<string, unknown>;
  expect(found).toMatchObject({ clean: false, verdict: "not clean" });
  expect(found["sentence"]).toMatch(/did not pass/);
  expect(code).toBe(1);
}, 240_000);
