import { readFileSync } from "node:fs";
import { ExecutionEnvironment } from "../lab/lambda/execution-environment";
import type { LambdaRuntime } from "../lab/lambda/lambda-runtime";
import { processCpuMs } from "../lab/processes/process-cpu";
import type { ColdKey, ColdSubjects, ColdSubject } from "./cold-subjects";
import { cpuShare } from "./cpu-share";
import { distribution } from "./distribution";

/** What cold starts took, round by round: all subjects meet the same machine in each. */
export interface ColdStart {
  readonly subject: string;
  /** Milliseconds from the start of the runtime's process to its first /next. */
  readonly ready: readonly number[];
  /** Milliseconds from the start of the runtime's process to its first answer, invoked as soon as Init is over. */
  readonly answered: readonly number[];
  /** CPU milliseconds of the runtime's process until then. The kernel counts in steps of 10. */
  readonly cpu: readonly number[];
  /** Bytes that the process has read from files and sockets until then. */
  readonly read: readonly number[];
}

export interface ColdStarts {
  readonly whole: Readonly<Record<ColdKey, ColdStart> & Partial<Record<"earlier", ColdStart>>>;
  /** The same at the share of a CPU that a function with this memory has. Empty where cgroups are not permitted. */
  readonly shares: readonly (Readonly<Record<ShareKey, ColdStart>> & { readonly memoryMb: number })[];
}

type Measured = Readonly<Record<"ready" | "answered" | "cpu" | "read", number>>;

export const SHARE_KEYS = ["floor", "passwordTls", "secretTls", "awsDocs"] as const satisfies readonly ColdKey[];
type ShareKey = (typeof SHARE_KEYS)[number];
const MEMORY_MB = [128, 512, 1_024, 1_769];
/** A cold start with 128 MB takes seconds. */
const MOST_ROUNDS_OF_A_SHARE = 10;

/** @throws Error if a function does not answer */
export async function coldStarts(
  subjects: ColdSubjects["subjects"],
  rounds: number,
  runtime: LambdaRuntime,
  onProgress: (message: string) => void,
): Promise<ColdStarts> {
  const keys = Object.keys(subjects) as ColdKey[]; // "earlier" is among them if it is there
  const whole = await inTurn(subjects, keys, rounds, runtime, onProgress);
  const shares: (Readonly<Record<ShareKey, ColdStart>> & { readonly memoryMb: number })[] = [];
  for (const memoryMb of MEMORY_MB) {
    const share = cpuShare(memoryMb);
    if (share === undefined) break;
    try {
      const slow = { ...runtime, command: share.limited(runtime.command) };
      const count = Math.min(rounds, MOST_ROUNDS_OF_A_SHARE);
      const tell = (message: string): void => {
        onProgress(`${memoryMb} MB, ${message}`);
      };
      shares.push({ memoryMb, ...(await inTurn(subjects, SHARE_KEYS, count, slow, tell)) });
    } finally {
      share.remove();
    }
  }
  return { whole, shares };
}

async function inTurn<Key extends ColdKey>(
  subjects: Readonly<Record<ColdKey, ColdSubject>>,
  keys: readonly Key[],
  rounds: number,
  runtime: LambdaRuntime,
  onProgress: (message: string) => void,
): Promise<Readonly<Record<Key, ColdStart>>> {
  const measured = keys.map((key) => ({ key, all: [] as Measured[] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { key, all } of measured) {
      onProgress(`cold start ${round} of ${rounds}: ${subjects[key].name}`);
      all.push(await coldStart(subjects[key], runtime));
    }
  }
  const series = (all: readonly Measured[], of: keyof Measured): readonly number[] => all.map((one) => one[of]);
  return Object.fromEntries(
    measured.map(({ key, all }) => [
      key,
      {
        subject: subjects[key].name,
        ...{ ready: series(all, "ready"), answered: series(all, "answered") },
        ...{ cpu: series(all, "cpu"), read: series(all, "read") },
      },
    ]),
  ) as Record<Key, ColdStart>;
}

async function coldStart(
  { name, lambdaFunction, extensions, variables }: ColdSubject,
  runtime: LambdaRuntime,
): Promise<Measured> {
  const environment = new ExecutionEnvironment({
    runtime,
    extensions,
    lambdaFunction: { ...lambdaFunction, environment: { ...lambdaFunction.environment, ...variables } },
  });
  try {
    await environment.init().catch((error: unknown) => {
      throw new Error(`${name}: ${String(error)}\n${environment.logs.join("\n")}`, { cause: error });
    });
    const result = await environment.invoke({});
    const { runtimePid } = environment;
    const [cpu, read] = [processCpuMs(runtimePid), bytesRead(runtimePid)];
    if (!result.ok) throw new Error(`${name}: ${result.error.errorMessage}\n${environment.logs.join("\n")}`);
    const at = (what: string): number => environment.timeline.find((entry) => entry.what === what)?.at ?? NaN;
    const since = (what: string): number => Math.round((at(what) - at("runtime started")) * 100) / 100;
    return { ready: since("runtime ready (first /next)"), answered: since("response"), cpu, read };
  } finally {
    await environment.shutdown();
  }
}

/** `man 5 proc_pid_io`; NaN where there is no /proc. */
function bytesRead(pid: number | undefined): number {
  try {
    return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid ?? 0}/io`, "latin1"))?.[1] ?? NaN);
  } catch {
    return NaN;
  }
}

/** The median of the ratios of two subjects, round by round. */
export function coldRatio(of: "ready" | "answered", ours: ColdStart, theirs: ColdStart): number {
  return distribution(ours[of].map((ms, round) => ms / (theirs[of][round] ?? NaN))).p50;
}
