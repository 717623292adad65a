/** The lab leaves nothing on the machine, whatever ends it and whenever. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { synth } from "../functions/synth";

const LAB = join(__dirname, "..");
const SEED = Number(process.env["LEFTOVERS_SEED"] ?? Date.now() % 2 ** 31);
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const;
/** By then the lab has a server, and environments in every phase. */
const LATEST_MS = 3_000;
const FROZEN_WITHIN_MS = 20_000;
const GONE_WITHIN_MS = 10_000;

const scratch = mkdtempSync(join(tmpdir(), "leftovers-"));
let stack: string;

beforeAll(async () => {
  stack = await synth(join(scratch, "cdktf.out"));
  lambdaRuntime("nodejs24.x");
}, 120_000);
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

interface Running {
  readonly pid: string;
  readonly parent: string;
  readonly state: string;
}

function running(): readonly Running[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const stat = contents(pid, "stat");
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === undefined || parent === undefined ? [] : [{ pid, parent, state }];
  });
}

function contents(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // gone meanwhile
  }
}

function descendants(ancestor: string): readonly Running[] {
  const all = running();
  const children = (parent: string): readonly Running[] =>
    all.filter((one) => one.parent === parent).flatMap((child) => [child, ...children(child.pid)]);
  return children(ancestor);
}

/**
 * Everything that the lab runs has its temporary directory, or the one with the code, in its environment or arguments.
 */
function ofTheLab(temporary: string): readonly string[] {
  const isMarked = (pid: string): boolean =>
    pid !== String(process.pid) &&
    ["environ", "cmdline"].some((file) =>
      [temporary, dirname(stack)].some((mark) => contents(pid, file).includes(mark)),
    );
  return running().flatMap(({ pid }) =>
    isMarked(pid) ? [`${pid} ${contents(pid, "cmdline").replaceAll("\0", " ")}`] : [],
  );
}

/** Inodes of the sockets that these processes have open. */
function sockets(pids: readonly string[]): ReadonlySet<string> {
  const links = pids.flatMap((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      return []; // gone meanwhile
    }
  });
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}

/** Ports that are listened on, by the inode of the listening socket. */
function listening(): ReadonlyMap<string, number> {
  const lines = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  const listeners = fields.filter(([, , , state]) => state === "0A");
  return new Map(listeners.map(([, local = "", , , , , , , , inode = ""]) => [inode, parseInt(local.slice(9), 16)]));
}

interface Death {
  readonly signal: NodeJS.Signals;
  readonly when: number | "frozen";
}

/** What the lab had at the moment of its death. */
interface Estate {
  readonly processes: readonly Running[];
  readonly sockets: ReadonlySet<string>;
}

const SCRIPT = `
  const { startDatabaseServer } = require(${JSON.stringify(join(LAB, "mysql/database-server.ts"))});
  const { lambdaRuntime } = require(${JSON.stringify(join(LAB, "lambda/lambda-runtime.ts"))});
  const { storm } = require(${JSON.stringify(join(LAB, "runs/storm.ts"))});
  const { synthesizedFunction } = require(${JSON.stringify(join(LAB, "functions/synthesized-function.ts"))});
  const { thisFunction } = require(${JSON.stringify(join(LAB, "functions/subject.ts"))});
  const synthesized = synthesizedFunction(process.env.STACK);
  const runtime = lambdaRuntime(synthesized.runtime);
  console.log("begin");
  startDatabaseServer().then((database) =>
    storm({ subject: thisFunction(synthesized), runtime, database, environments: 8, seconds: 60 }),
  );`;

async function die({ signal, when }: Death, temporary: string): Promise<Estate> {
  const lab = spawn(process.execPath, ["--import", "tsx", "-e", SCRIPT], {
    cwd: LAB,
    env: { ...process.env, TMPDIR: temporary, STACK: stack },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return endedBy(signal, lab, async () => {
    await once(lab.stdout, "data");
    await (when === "frozen" ? untilFrozen(String(lab.pid)) : sleep(when));
  });
}

interface CommandDeath {
  /** What it has said by then; each says so in this order. */
  readonly said: "synthesizing" | "preparing";
  readonly ms: number;
}

/** Killed some milliseconds after it has said something, unless it has come to its end by then. */
async function dieAsCommand(args: readonly string[], { said, ms }: CommandDeath, temporary: string): Promise<Estate> {
  const lab = spawn(process.execPath, ["--import", "tsx", ...args], {
    cwd: LAB,
    env: { ...process.env, TMPDIR: temporary, CDKTF_OUTDIR: join(temporary, "cdktf.out"), MYSQL_URL: "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  return endedBy("SIGKILL", lab, async () => {
    let text = "";
    const heard = new Promise<void>((resolve) => {
      lab.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        if ((text += chunk).includes(said)) resolve();
      });
    });
    await Promise.race([heard, once(lab, "exit")]);
    expect(text).toContain(said);
    await sleep(ms);
  });
}

async function endedBy(signal: NodeJS.Signals, lab: ChildProcess, moment: () => Promise<void>): Promise<Estate> {
  const exit = once(lab, "exit");
  try {
    await moment();
    const pid = String(lab.pid);
    expect(lab.exitCode).toBeNull();
    const processes = descendants(pid);
    const open = sockets([pid, ...processes.map((each) => each.pid)]);
    lab.kill(signal);
    await exit;
    return { processes, sockets: open };
  } finally {
    lab.kill("SIGKILL");
    await exit;
  }
}

/** Until the lab has stopped one of its processes: those can hear no signal but SIGKILL. */
async function untilFrozen(pid: string): Promise<void> {
  const deadline = Date.now() + FROZEN_WITHIN_MS;
  while (!descendants(pid).some(({ state }) => state === "T")) {
    if (Date.now() > deadline) throw new Error(`within ${FROZEN_WITHIN_MS} ms the lab has frozen nothing`);
    await sleep(20);
  }
}

async function nothingIsLeft(estate: Estate, temporary: string): Promise<void> {
  const left = (): object => ({
    processes: ofTheLab(temporary),
    // A process that nobody waits for is left, too, though it does not run. For an orphan PID 1 does, in its own time.
    descendants: running()
      .filter(({ pid }) => estate.processes.some((each) => each.pid === pid))
      .filter(({ state, parent }) => !(state === "Z" && parent === "1")),
    directories: readdirSync(temporary).filter((name) => name.startsWith("lab-")),
    ports: [...listening()].filter(([inode]) => estate.sockets.has(inode)).map(([, port]) => port),
  });
  const nothing = { processes: [], descendants: [], directories: [], ports: [] };
  const deadline = Date.now() + GONE_WITHIN_MS;
  while (JSON.stringify(left()) !== JSON.stringify(nothing) && Date.now() < deadline) await sleep(20);
  expect(left()).toEqual(nothing);
}

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux(
  `nothing is left of a lab that is killed at random points (LEFTOVERS_SEED=${SEED}; it takes /proc to see that)`,
  async () => {
    const moments = fc.sample(fc.integer({ min: 0, max: LATEST_MS }), { seed: SEED, numRuns: SIGNALS.length });
    const deaths = SIGNALS.map((signal, index): Death => ({ signal, when: moments[index] ?? 0 }));
    for (const death of [...deaths, { signal: "SIGKILL", when: "frozen" } as const]) {
      const temporary = mkdtempSync(join(scratch, "t-"));
      await nothingIsLeft(await die(death, temporary), temporary);
    }
  },
);

const COMMANDS = [
  ["cli/lab.ts", "run", "--frozen", "60000"],
  ["cli/lab.ts", "compare"],
  ["cli/lab.ts", "faults"],
  ["cli/lab.ts", "storm"],
  ["cli/lab.ts", "report"],
] as const;

onLinux(
  `nor of any of its commands, ended by SIGKILL at a random point (LEFTOVERS_SEED=${SEED})`,
  async () => {
    const death = fc.record({
      said: fc.constantFrom("synthesizing", "preparing"),
      ms: fc.integer({ min: 0, max: 2_000 }),
    });
    const deaths = fc.sample(death, { seed: SEED, numRuns: COMMANDS.length }) as CommandDeath[];
    const dying = COMMANDS.map(async (command, index) => {
      const temporary = mkdtempSync(join(scratch, "c-"));
      await nothingIsLeft(
        await dieAsCommand(command, deaths[index] ?? { said: "preparing", ms: 0 }, temporary),
        temporary,
      );
    });
    await Promise.all(dying);
  },
  180_000,
);
