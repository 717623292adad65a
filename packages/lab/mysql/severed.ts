import { setImmediate as pollPhase, setTimeout as sleep } from "node:timers/promises";
import type { Relay } from "./relay";

/** A child that the function has left behind may keep a connection open for ever. */
const FIN_WITHIN_MS = 1_000;
/** What stopped processes have sent is in the relay's own sockets by then. */
const READ_WITHIN_MS = 20;

/**
 * Severs the relays after they have read what the processes sent before their end. A relay that is severed with
 * COM_QUIT unread reports a leak that is none: 229 of 1,076 connections in a storm of 1,000 environments.
 */
export async function severed(relays: readonly Pick<Relay, "connections" | "sever">[], endedBy: string): Promise<void> {
  const deadline = performance.now() + (endedBy === "SIGKILL at once" ? READ_WITHIN_MS : FIN_WITHIN_MS);
  const isOpen = (): boolean =>
    relays.some(({ connections }) => connections.some(({ closedAt }) => closedAt === undefined));
  while (isOpen() && performance.now() < deadline) await sleep(1);
  await pollPhase();
  for (const relay of relays) relay.sever();
}
