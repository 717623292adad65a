import type { TcpServer, Subject } from "../functions/subject";
import type { Events } from "../functions/project";
import { ExecutionEnvironment } from "../lambda/execution-environment";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { DatabaseServer } from "../mysql/server";
import { severed } from "../mysql/severed";
import { databaseAccess } from "../runs/database-access";
import { TcpRelays } from "../runs/tcp-connections";
import type { FaultResult } from "./fault-result";
import { targetOf } from "./fault-servers";
import { problemsOf } from "./problems";
import { describe, endOfProcess, hasUnhandledRejection, playSteps } from "./run-fault";
import type { ShutdownExtension } from "./shutdown-extension";
import type { TcpFault, TcpScenario } from "./tcp-faults";
import { TcpValve } from "./tcp-valve";

export interface TcpFaultConfig {
  readonly subject: Subject;
  readonly servers: readonly TcpServer[];
  readonly extension: ShutdownExtension;
  readonly events: Events;
  readonly runtime: LambdaRuntime;
  readonly database: DatabaseServer;
}

const UNREACHABLE = "unreachable";

/** Plays one fault to a function whose servers are the user's. The relays' counts are the judge. */
export async function runTcpFault(fault: TcpFault, config: TcpFaultConfig): Promise<FaultResult> {
  const { subject, servers, extension, events, runtime, database } = config;
  const valves = await Promise.all(servers.map((server) => TcpValve.start(server)));
  const relays = await TcpRelays.start(
    valves.map(({ server }) => server),
    () => undefined,
  );
  const targets = await Promise.all(relays.relays.map((relay) => targetOf(fault, relay)));
  const addresses = Object.fromEntries(
    servers.map(({ name }, index) => [name, { host: "127.0.0.1", port: targets[index]?.port ?? 0 }]),
  );
  const { relay, variables } = await databaseAccess(subject, database);
  const environment = new ExecutionEnvironment({
    runtime,
    extensions: subject.extensions,
    onGone: (endedBy) => severed([relay, ...relays.relays], endedBy),
    lambdaFunction: {
      ...subject.lambdaFunction,
      timeoutMs: fault.timeoutMs ?? subject.lambdaFunction.timeoutMs,
      environment: variables(addresses),
    },
  });
  const { quick, slow } = events;
  const scenario: TcpScenario = {
    ...{ environment, valves, relays, events: { quick, slow }, invocations: [], problems: [] },
  };
  try {
    return await played(fault, scenario, subject.name, extension);
  } finally {
    await environment.shutdown();
    for (const valve of valves) valve.kill();
    await Promise.all([relay, relays, ...targets].map((each) => each.close()));
  }
}

async function played(
  fault: TcpFault,
  scenario: TcpScenario,
  name: string,
  extension: ShutdownExtension,
): Promise<FaultResult> {
  const { environment, relays } = scenario;
  const failedInit = await playSteps(fault.steps, scenario);
  await environment.shutdown();
  const ended = await Promise.all(scenario.invocations);
  // What the server closed is the fault's doing.
  const connections = relays.connections().filter(({ closedBy }) => closedBy !== "server");
  const result = {
    ...{ fault: fault.name, function: name, extension, invocations: ended.map(describe) },
    ...endOfProcess(environment, extension),
    connectionsOpened: relays.connections().length,
    connectionsLeft: connections.filter(({ outcome }) => outcome === "leaked").length,
    ...({ statementsLeft: UNREACHABLE, abortedClients: UNREACHABLE, locksFree: UNREACHABLE } as const),
    quitsAfterMs: [],
    unhandledRejection: hasUnhandledRejection(environment.logs),
    lines: [],
  };
  if (failedInit !== undefined) return { ...result, problems: [`Init fails: ${failedInit.message}`] };
  const faulted = { name, directory: "", handler: "", logsShutdown: false, userVariables: () => ({}) };
  const inWords = ({ server, saw }: (typeof connections)[number]): string => `connection to ${server}: ${saw}`;
  const aborted = connections.filter(({ outcome }) => outcome === "aborted" && fault.outOfReach !== true);
  const hidden = connections.filter(({ unproven }) => unproven !== undefined);
  const problems = [
    ...scenario.problems,
    ...problemsOf(result, { ...fault, steps: [] }, faulted, []),
    ...aborted.map(inWords),
  ];
  if (fault.invocations.includes("ok") && result.connectionsOpened === 0) {
    problems.push("it opened no connection, so nothing is proven");
  }
  if (problems.length > 0 || hidden.length === 0) return { ...result, problems };
  return { ...result, isHidden: true, problems: hidden.map(inWords) };
}
