/** AWS's own emulator and the lab come to one verdict about the same function. The emulator is built where Go is. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtEmulator } from "../lambda/built-emulator";
import { Emulator, EMULATOR_PACKAGE, emulatorProgram } from "../lambda/emulator";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { articleSubject, thisFunction, withExtension, type Subject } from "../functions/subject";
import { synth } from "../functions/synth";
import { synthesizedFunction, type SynthesizedFunction } from "../functions/synthesized-function";
import { emulatorVerdict, isSameVerdict, runInEmulator, type EmulatorResult } from "./emulator-run";
import { run, type End } from "./run";

let program: string | undefined;
let runtime: LambdaRuntime;
let database: DatabaseServer;
let synthesized: SynthesizedFunction;
const scratch = mkdtempSync(join(tmpdir(), "emulator-"));

beforeAll(async () => {
  synthesized = synthesizedFunction(await synth(join(scratch, "cdktf.out")));
  runtime = lambdaRuntime(synthesized.runtime);
  database = await startDatabaseServer();
  if (database.kind === "fake") throw new Error("a real server is needed: install mariadb-server-core");
  program = builtEmulator();
}, 240_000);

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

interface Case {
  readonly name: string;
  readonly subject: () => Subject;
  readonly end?: End;
  readonly verdict: Pick<EmulatorResult, "endedBy" | "outcomes">;
  /** Nobody listened, which the lab tells apart and the emulator does not. */
  readonly isUnheard?: true;
}

const IDLE: End = { how: "idle" };
const DEADLINE = "SIGKILL at its deadline";

function alternative(name: string): Subject {
  const directory = join(__dirname, "../functions/alternatives");
  const lambdaFunction = { ...synthesized, name, directory, handler: `${name}/index.handler` };
  return withExtension({ name, lambdaFunction, extensions: [] }, "external");
}

const CASES: readonly Case[] = [
  ...(["external", "internal"] as const).map((kind) => ({
    name: `this function, ${kind}`,
    subject: () => withExtension(thisFunction(synthesized), kind),
    verdict: { endedBy: "itself", outcomes: ["closed"] } as const,
  })),
  {
    name: "this function, none",
    subject: () => withExtension(thisFunction(synthesized), "none"),
    verdict: { endedBy: "SIGKILL at once", outcomes: ["leaked"] },
  },
  {
    name: "this function, a time-out in its statement",
    subject: () => {
      const subject = thisFunction(synthesized);
      return { ...subject, lambdaFunction: { ...subject.lambdaFunction, timeoutMs: 2_000 } };
    },
    end: { how: "timeout", event: { sleepSeconds: 8 } },
    // The second one cancels the statement of the first.
    verdict: { endedBy: "itself", outcomes: ["closed", "closed"] },
  },
  {
    name: "the article's way",
    subject: () => articleSubject(synthesized, join(scratch, "article")),
    verdict: { endedBy: DEADLINE, outcomes: ["closed"] },
  },
  {
    name: "close-with-grace",
    subject: () => alternative("close-with-grace"),
    verdict: { endedBy: DEADLINE, outcomes: ["closed"] },
  },
  {
    name: "serverless-mysql",
    subject: () => alternative("serverless-mysql"),
    verdict: { endedBy: "itself", outcomes: ["aborted"] },
    isUnheard: true,
  },
  {
    name: "mysql2 alone",
    subject: () => alternative("bare"),
    verdict: { endedBy: "itself", outcomes: ["aborted"] },
    isUnheard: true,
  },
];

test.each(CASES)(
  "$name: the lab and AWS's emulator agree",
  async ({ subject: make, end = IDLE, verdict, isUnheard }) => {
    if (program === undefined || !runtime.isAwsClient) {
      console.warn("AWS's emulator did not judge here: it needs Linux, Go and AWS's runtime client");
      return;
    }
    const subject = make();
    const emulated = await runInEmulator(subject, runtime, database, [{}], end, program);
    const lab = await run(subject, runtime, database, [{}], end);
    expect(emulated.invocations).toEqual([true]);
    expect({ endedBy: emulated.endedBy, outcomes: emulated.outcomes }).toEqual(verdict);
    const inLab = isUnheard === true ? { ...verdict, endedBy: "SIGTERM, unheard" } : verdict;
    expect({ endedBy: lab.shutdown.endedBy, outcomes: lab.outcomes }).toEqual(inLab);
    expect(emulated.abortedClients).toBe(verdict.outcomes[0] === "aborted" ? 1 : 0);
    expect(isSameVerdict(lab, emulated)).toBe(true);
  },
);

test.each([{ mode: "classic" }, { mode: "Managed Instances", workers: 1 }])(
  "$mode: the emulator and its function leave nothing, and see folders that nobody else sees",
  async ({ workers }) => {
    if (program === undefined || (workers !== undefined && !isRoot())) {
      console.warn("not proven here: the emulator needs Linux and Go, and root for Managed Instances");
      return;
    }
    const before = outside();
    const extension = { name: "lab-only", command: [process.execPath, "-e", "setTimeout(() => {}, 60000)", scratch] };
    const lambdaFunction = { ...synthesized, environment: {} };
    const emulator = await Emulator.start({
      ...{ program, runtime, lambdaFunction, extensions: [extension] },
      ...(workers === undefined ? {} : { workers }),
    });
    expect(outside()).toBe(before);
    await emulator.shutdown();
    expect(outside()).toBe(before);
    expect(spawnSync("pgrep", ["-f", program], { encoding: "utf8" }).stdout).toBe("");
    expect(spawnSync("pgrep", ["-f", scratch], { encoding: "utf8" }).stdout).toBe("");
  },
);

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** What is in the folders that the emulator sees replaced. */
function outside(): string {
  return spawnSync("ls", ["-l", "/opt", "/opt/extensions", "/var", "/var/task"], { encoding: "utf8" }).stdout;
}

test("on Managed Instances the function is where Lambda has it, and reads code that only root may read", async () => {
  if (program === undefined || !isRoot() || !runtime.isAwsClient) {
    console.warn("not proven here: the emulator needs Linux, Go, root and AWS's runtime client");
    return;
  }
  const directory = mkdtempSync(join(scratch, "private-"));
  const code = `import { readdirSync } from "node:fs";
const { AWS_EXECUTION_ENV, LAMBDA_TASK_ROOT } = process.env;
export const handler = async () => ({ uid: process.getuid(), cwd: process.cwd(), AWS_EXECUTION_ENV, LAMBDA_TASK_ROOT, var: readdirSync("/var") });`;
  writeFileSync(join(directory, "index.mjs"), code, { mode: 0o600 });
  const lambdaFunction = { ...synthesized, directory, environment: {} };
  const emulator = await Emulator.start({ program, runtime, lambdaFunction, extensions: [], workers: 1 });
  try {
    const { ok, answer } = await emulator.invoke({});
    expect({ ok, answer: JSON.parse(answer) as unknown }).toEqual({
      ok: true,
      answer: {
        ...{ uid: 993, cwd: "/var/task", LAMBDA_TASK_ROOT: "/var/task" },
        AWS_EXECUTION_ENV: `AWS_Lambda_${runtime.name}`,
        var: [...new Set([...readdirSync("/var"), "runtime", "task"])].sort(),
      },
    });
  } finally {
    await emulator.shutdown();
  }
});

test("for Managed Instances a user who is not root is told what the emulator needs", async () => {
  const getuid = jest.spyOn(process, "getuid").mockReturnValue(1_000);
  const config = { program: "aws-lambda-rie", runtime, lambdaFunction: synthesized, extensions: [], workers: 1 };
  await expect(Emulator.start(config)).rejects.toThrow("as the user 993, in /var/task: run the lab as root");
  getuid.mockRestore();
});

test("a missing program is an error that says how to get it", () => {
  expect(() => emulatorProgram(join(scratch, "nowhere"))).toThrow(`go install ${EMULATOR_PACKAGE}`);
});

test("two verdicts differ in an outcome or in who ended the process", () => {
  const emulated: EmulatorResult = {
    ...{ subject: "f", end: "idle", invocations: [true], goneMs: 20, abortedClients: 0, logs: [] },
    endedBy: "itself",
    outcomes: ["closed", "aborted"],
  };
  const lab = {
    shutdown: { endedBy: "itself" },
    outcomes: ["aborted", "closed"],
  } as const;
  expect(isSameVerdict(lab, emulated)).toBe(true);
  expect(isSameVerdict({ ...lab, outcomes: ["closed"] }, emulated)).toBe(false);
  expect(isSameVerdict({ ...lab, shutdown: { endedBy: DEADLINE } }, emulated)).toBe(false);
  expect(emulatorVerdict(emulated).clean).toBe(false);
  expect(emulatorVerdict({ ...emulated, outcomes: ["closed"] }).clean).toBe(true);
});
