import { createRequire } from "node:module";
import { join } from "node:path";
import { NEEDS, type Fault, type Need } from "../faults/fault";
import type { ShutdownExtension } from "../faults/shutdown-extension";
import { FAULTS } from "../faults/faults";
import type { FaultRun } from "../faults/fault-runs";
import type { FaultedFunction } from "../faults/fault-result";
import { userVariables } from "../functions/user-function";
import type { Chosen, HandlerOptions } from "./handler-options";

export interface NotPlayed {
  readonly fault: string;
  readonly why: string;
}

/** The rows of the fault table that a function's events and settings allow, and the others with the reason. */
export function faultPlan(
  { subject, synthesized, events }: Chosen,
  extension: ShutdownExtension,
  env: HandlerOptions["env"],
): { readonly faultRuns: readonly FaultRun[]; readonly notPlayed: readonly NotPlayed[] } {
  const { directory, handler, environment, layerPaths = [] } = subject.lambdaFunction;
  const { quick, slow } = events;
  const common = { name: subject.name, directory, handler, layerPaths, events: { quick, slow } };
  const faulted: FaultedFunction =
    synthesized === undefined
      ? { ...common, environment, logsShutdown: false, userVariables: (login) => userVariables(login, env) }
      : { ...common, logsShutdown: true, environment: { ...environment, ...env } };
  const understood = new Set<Need>();
  if (synthesized !== undefined) understood.add("DB_AUTH, DB_TLS").add("known statements");
  if ("slow" in events) understood.add("slow event");
  if (findsAwsSdk(directory)) understood.add("AWS SDK");
  const faultRuns: FaultRun[] = [];
  const notPlayed: NotPlayed[] = [];
  for (const fault of FAULTS) {
    const why = whyNot(fault, understood, extension);
    if (why === undefined) faultRuns.push({ fault, faulted, extension });
    else notPlayed.push({ fault: fault.name, why });
  }
  return { faultRuns, notPlayed };
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

function whyNot(
  { needs = [], extensions }: Fault,
  understood: ReadonlySet<Need>,
  extension: ShutdownExtension,
): string | undefined {
  const need = needs.find((each) => !understood.has(each));
  if (need !== undefined) return NEEDS[need];
  return extensions?.includes(extension) === false ? `it is not for an ${extension} extension` : undefined;
}
