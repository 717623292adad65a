import { join } from "node:path";
import type { FaultedFunction } from "./fault-result";

/** Other people's ways to end, as handlers that understand the events of the faults. */
export const ALTERNATIVES: readonly FaultedFunction[] = [
  { name: "the article's way", handler: "article/index.handler" },
  { name: "close-with-grace", handler: "close-with-grace/index.handler" },
  { name: "serverless-mysql", handler: "serverless-mysql/index.handler" },
  { name: "mysql2 alone", handler: "bare/index.handler" },
].map((alternative) => ({
  ...alternative,
  directory: join(__dirname, "../functions/alternatives"),
  logsShutdown: false,
}));
