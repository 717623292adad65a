import { setTimeout as sleep } from "node:timers/promises";
import type { TcpRelays } from "../runs/tcp-connections";
import type { Fault } from "./fault";
import { FAULTS } from "./faults";
import { begin, freeze, init, invoke, sigterm, thaw, until, wait, type Scenario } from "./steps";
import type { TcpValve } from "./tcp-valve";

/** What a fault of a server that is not MySQL works on. */
export interface TcpScenario extends Pick<Scenario, "environment" | "events" | "invocations" | "problems"> {
  readonly valves: readonly TcpValve[];
  readonly relays: TcpRelays;
}

export type TcpStep = (scenario: TcpScenario) => Promise<void> | void;

/** A row of the fault table that can be played to a server of any protocol. */
export interface TcpFault extends Omit<Fault, "steps"> {
  readonly steps: readonly TcpStep[];
}

/** Milliseconds that a request needs to reach the server, and an end of a connection to reach the function. */
const ARRIVES_MS = 200;

const onEachValve =
  (act: (valve: TcpValve) => void): TcpStep =>
  async ({ valves }) => {
    valves.forEach(act);
    await sleep(ARRIVES_MS);
  };
const freezeServers = onEachValve((valve) => {
  valve.freeze();
});
const dropConnections = onEachValve((valve) => {
  valve.drop();
});
const killServers = onEachValve((valve) => {
  valve.kill();
});
/** The relay cannot see statements: it sees that there is a connection, and a statement takes 30 seconds. */
const statementRuns: TcpStep = async ({ relays }) => {
  await until("the function opened a connection", () => relays.connections().length > 0);
  await sleep(ARRIVES_MS);
};

/** The steps of the rows that do not depend on MySQL, by the row's name. */
const STEPS: Readonly<Record<string, readonly TcpStep[]>> = {
  idle: [init, invoke("quick")],
  "connect refused": [init, invoke("quick")],
  "connect into dropped packets": [init, begin("quick"), wait(50)],
  "connect to a silent server": [init, begin("quick"), wait(ARRIVES_MS)],
  "function timeout in a long query": [init, invoke("slow")],
  "SIGTERM in an invocation": [init, begin("slow"), statementRuns],
  "server frozen": [init, invoke("quick"), freezeServers],
  "server frozen in a long query": [init, begin("slow"), statementRuns, freezeServers],
  "server killed": [init, invoke("quick"), freeze, killServers],
  "server restarted between two invocations": [init, invoke("quick"), dropConnections, invoke("quick")],
  "wait_timeout while frozen": [init, invoke("quick"), freeze, dropConnections, thaw, invoke("quick")],
  "frozen for long": [init, invoke("quick"), freeze, wait(10_100), thaw, invoke("quick")],
  "SIGTERM twice": [init, invoke("quick"), sigterm],
};

/** In the order of the table. */
export const TCP_FAULTS: readonly TcpFault[] = FAULTS.flatMap((fault) => {
  const steps = STEPS[fault.name];
  const needs = fault.needs?.filter((need) => need === "slow event") ?? [];
  return steps === undefined ? [] : [{ ...fault, needs, steps }];
});
