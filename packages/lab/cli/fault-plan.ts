import { createRequire } from "node:module";
import { join } from "node:path";
import { NEEDS, type Fault, type Need } from "../faults/fault";
import type { FaultedFunction } from "../faults/fault-result";
import { playInLanes, runFaults, type StartedFaults } from "../faults/fault-runs";
import { FAULTS } from "../faults/faults";
import { runTcpFault } from "../faults/run-tcp-fault";
import type { ShutdownExtension } from "../faults/shutdown-extension";
import { TCP_FAULTS } from "../faults/tcp-faults";
import { withExtension } from "../functions/subject";
import { userVariables } from "../functions/user-function";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { CommandContext } from "./command-context";
import type { Chosen, HandlerOptions } from "./handler-options";

export interface NotPlayed {
  readonly fault: string;
  readonly why: string;
}

export type PlannedFault = Pick<Fault, "name" | "happens" | "invocations" | "target">;

/** The rows of the fault table that a function's events and settings allow, and the others with the reason. */
export interface FaultPlan {
  readonly faults: readonly PlannedFault[];
  readonly notPlayed: readonly NotPlayed[];
  /** @param some of {@link faults} */
  start(some: readonly PlannedFault[], patience: number): Promise<StartedFaults>;
}

export function faultPlan(
  context: Pick<CommandContext, "scratch" | "database">,
  choice: Chosen,
  extension: ShutdownExtension,
  env: HandlerOptions["env"],
  runtime: LambdaRuntime,
): FaultPlan {
  if (choice.subject.tcp !== undefined) return tcpPlan(context, choice, extension, runtime);
  const { faults, notPlayed } = divided(FAULTS, understoodBy(choice), extension);
  const faulted = faultedFunction(choice, env);
  return {
    ...{ faults, notPlayed },
    start: (some, patience) => {
      const faultRuns = faults.filter((fault) => some.includes(fault)).map((fault) => ({ fault, faulted, extension }));
      return runFaults(faultRuns, context.scratch, patience, runtime);
    },
  };
}

/** The servers are the user's: the lab plays what it can do to the connections. */
function tcpPlan(
  context: Pick<CommandContext, "database">,
  { subject, events }: Chosen,
  extension: ShutdownExtension,
  runtime: LambdaRuntime,
): FaultPlan {
  const { faults, notPlayed } = divided(TCP_FAULTS, new Set("slow" in events ? ["slow event"] : []), extension);
  const names = new Set(TCP_FAULTS.map(({ name }) => name));
  const others = FAULTS.filter(({ name }) => !names.has(name));
  let started: ReturnType<CommandContext["database"]> | undefined;
  return {
    faults,
    notPlayed: [...notPlayed, ...others.map(({ name }) => ({ fault: name, why: NEEDS.MySQL }))],
    start: async (some, patience) => {
      const common = { subject: withExtension(subject, extension), servers: subject.tcp ?? [], extension, events };
      const config = { ...common, runtime, database: await (started ??= context.database()) };
      const plays = faults
        .filter((fault) => some.includes(fault))
        .map((fault) => async () => runTcpFault(fault, config));
      const results = playInLanes(plays, patience);
      const close = async (): Promise<void> => {
        await Promise.allSettled(results);
      };
      return { results, close };
    },
  };
}

export function faultedFunction({ subject, synthesized, events }: Chosen, env: HandlerOptions["env"]): FaultedFunction {
  const { directory, handler, environment, layerPaths = [] } = subject.lambdaFunction;
  const { quick, slow } = events;
  const common = { name: subject.name, directory, handler, layerPaths, events: { quick, slow } };
  return synthesized === undefined
    ? { ...common, environment, logsShutdown: false, userVariables: (login) => userVariables(login, env) }
    : { ...common, logsShutdown: true, environment: { ...environment, ...env } };
}

function understoodBy({ subject, synthesized, events }: Chosen): ReadonlySet<Need> {
  return new Set<Need>([
    ...(synthesized === undefined ? [] : (["DB_AUTH, DB_TLS", "known statements"] as const)),
    ...("slow" in events ? (["slow event"] as const) : []),
    ...(findsAwsSdk(subject.lambdaFunction.directory) ? (["AWS SDK"] as const) : []),
  ]);
}

/** In Lambda the SDK is there; here it is in the node_modules of this project, if that is above the code. */
function findsAwsSdk(directory: string): boolean {
  try {
    createRequire(join(directory, "index.mjs")).resolve("@aws-sdk/client-secrets-manager");
    return true;
  } catch {
    return false;
  }
}

function divided<F extends Pick<Fault, "name" | "needs" | "extensions">>(
  all: readonly F[],
  understood: ReadonlySet<Need>,
  extension: ShutdownExtension,
): { readonly faults: readonly F[]; readonly notPlayed: readonly NotPlayed[] } {
  const whyNot = ({ needs = [], extensions }: F): string | undefined => {
    const need = needs.find((each) => !understood.has(each));
    if (need !== undefined) return NEEDS[need];
    return extensions?.includes(extension) === false ? `it is not for an ${extension} extension` : undefined;
  };
  return {
    faults: all.filter((fault) => whyNot(fault) === undefined),
    notPlayed: all.flatMap((fault) => {
      const why = whyNot(fault);
      return why === undefined ? [] : [{ fault: fault.name, why }];
    }),
  };
}
