import type { HandlerLanguage } from "../functions/handler-language";
import type { RunResult } from "./run";

type OtherLanguage = Exclude<HandlerLanguage, "nodejs">;

/** How a handler in one language does what the advice asks for: each is the end of a sentence. */
export interface LanguageAdvice {
  /** The client that it runs on. */
  readonly client: string;
  /** How it hears SIGTERM, and closes its connections then. */
  readonly listen: string;
  /** How it leaves once everything is closed. */
  readonly leave: string;
  /** How Lambda comes to send SIGTERM at all. */
  readonly extension: string;
}

/** No listener hears SIGTERM without an extension. */
const LAYER = "add a layer with an extension, such as CloudWatch Lambda Insights";

/** Measured by runs/languages.test.ts, on the versions that are named; Java's by hand, on its client 2.10.1. */
export const LANGUAGE_ADVICE: Readonly<Record<OtherLanguage, LanguageAdvice>> = {
  go: {
    client: "aws-lambda-go",
    listen: "start it with lambda.StartWithOptions(handler, lambda.WithEnableSIGTERM(func() { db.Close() }))",
    leave:
      "end the callback of WithEnableSIGTERM with os.Exit(0): aws-lambda-go does not exit, and is killed at the deadline",
    extension: "lambda.WithEnableSIGTERM registers an internal extension, so SIGTERM comes without a layer",
  },
  rust: {
    client: "lambda_runtime",
    listen:
      "call spawn_graceful_shutdown_handler(|| async move { … }).await before run(…) and close the pool in it (feature graceful-shutdown)",
    leave:
      "let the future of spawn_graceful_shutdown_handler end: lambda_runtime exits when that future is done, so nothing in it may wait without a time limit",
    extension: "spawn_graceful_shutdown_handler registers an internal extension, so SIGTERM comes without a layer",
  },
  python: {
    client: "awslambdaric",
    listen: "call signal.signal(signal.SIGTERM, on_sigterm) where the module is loaded, and close the connection in it",
    leave: "end the signal handler with sys.exit(0): awslambdaric goes on waiting for events after it",
    extension: LAYER,
  },
  java: {
    client: "aws-lambda-java-runtime-interface-client",
    listen:
      "call Runtime.getRuntime().addShutdownHook(new Thread(() -> dataSource.close())) where the handler's class is loaded",
    leave:
      "nothing in the handler: its hooks have run, but the JVM waits up to 300 ms for the thread in AWS's client, longer than an external extension leaves it; an internal extension gives it 500 ms",
    extension: LAYER,
  },
  other: {
    client: "the program's own client",
    listen:
      "handle SIGTERM in bootstrap and close every connection in it; a shell script that starts the program must use exec",
    leave: "exit the process once everything is closed",
    extension: LAYER,
  },
};

/**
 * What to change in a handler of this language, in one line.
 *
 * @returns nothing where its language does not matter: it is clean, or it did not come to a Shutdown phase with a
 * connection
 */
export function changeInLanguage(result: RunResult, language: OtherLanguage): string | undefined {
  const { initError, outcomes, shutdown } = result;
  const { listen, leave, extension } = LANGUAGE_ADVICE[language];
  const closed = outcomes.filter((outcome) => outcome === "closed").length;
  const open = outcomes.length - closed;
  if (initError !== undefined || outcomes.length === 0) return undefined;
  switch (shutdown.endedBy) {
    case "gone before":
      return undefined;
    case "SIGKILL at once":
      return `register an extension, without which Lambda sends SIGKILL and no SIGTERM: ${extension}; then ${listen}`;
    case "SIGKILL at its deadline":
      return open === 0
        ? `it was killed at its deadline with every connection closed: ${leave}`
        : `on SIGTERM it closed ${closed} of ${outcomes.length} connections and did not leave: ${listen}; then ${leave}`;
    case "itself":
    case "SIGTERM, unheard":
      if (open === 0) return undefined;
      return closed === 0 || shutdown.endedBy === "SIGTERM, unheard"
        ? `listen to SIGTERM, which ended the process with ${open} of its connections open: ${listen}; then ${leave}`
        : `it closed ${closed} of ${outcomes.length} connections before it left: close each of them before it leaves`;
  }
}
