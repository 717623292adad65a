import type { Server } from "node:http";
import type { ShutdownContext } from "../hooks.ts";
import { activeHandles } from "./active-handles.ts";

/** The share of the time that requests in flight may take. Then the connections to databases are closed. */
const REQUESTS_SHARE = 0.8;

/** Closes the HTTP servers of a Web Function: they stop accepting, and requests in flight end. */
export async function closeHttpServers({ remainingMs }: ShutdownContext): Promise<{ cut?: number }> {
  const servers = activeHandles().filter(isHttpServer);
  if (servers.length === 0) return {};
  const leastMs = remainingMs() * (1 - REQUESTS_SHARE);
  for (const server of servers) if (server.listening) server.close();
  for (;;) {
    for (const server of servers) server.closeIdleConnections();
    const counts = await Promise.all(servers.map(countConnections));
    const cut = counts.reduce((sum, count) => sum + count, 0);
    if (cut === 0 || remainingMs() < leastMs) return { cut };
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function isHttpServer(handle: unknown): handle is Server {
  return typeof (handle as Partial<Server> | null)?.closeIdleConnections === "function";
}

function countConnections(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => {
      resolve(error ? 0 : count);
    });
  });
}
