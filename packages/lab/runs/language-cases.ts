import type { SecureContext } from "node:tls";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import type { DatabaseServer } from "../mysql/server";
import { languageHandler, type Language } from "../functions/language-handlers";
import { withExtension, type ExtensionKind, type Subject } from "../functions/subject";
import { userVariables } from "../functions/user-function";
import { markdownTable } from "./markdown-table";
import type { Outcome } from "./outcome";
import { run, type RunResult } from "./run";

/** A handler in one language, on AWS's client for it, and what the lab sees. */
export interface LanguageCase {
  readonly language: Language;
  /** What the handler does when its connection is closed; without it, it does not listen. */
  readonly onSigterm?: "leave" | "exit" | "sys.exit" | "stay" | "hook";
  readonly extension: ExtensionKind;
  readonly endedBy: RunResult["shutdown"]["endedBy"];
  /** @default - the handler has no connection */
  readonly outcome?: Outcome;
}

const DEADLINE = "SIGKILL at its deadline";

/** Printed in lab/README.md; runs/languages.test.ts runs each whose toolchain is here. */
export const LANGUAGE_CASES: readonly LanguageCase[] = [
  { language: "nodejs", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "nodejs", extension: "external", endedBy: "SIGTERM, unheard", outcome: "aborted" },
  { language: "nodejs", onSigterm: "exit", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  { language: "nodejs", onSigterm: "leave", extension: "external", endedBy: "itself", outcome: "closed" },
  { language: "python", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "python", extension: "external", endedBy: "SIGTERM, unheard", outcome: "aborted" },
  { language: "python", onSigterm: "stay", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  // SystemExit waits for the thread in which awslambdaric waits for an event. On Python 3.11 it did not.
  { language: "python", onSigterm: "sys.exit", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  { language: "python", onSigterm: "exit", extension: "external", endedBy: "itself", outcome: "closed" },
  { language: "go", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "go", extension: "external", endedBy: "itself", outcome: "aborted" },
  // The client registers an internal extension, so that SIGTERM comes without another; it does not leave by itself.
  { language: "go", onSigterm: "stay", extension: "none", endedBy: DEADLINE, outcome: "closed" },
  { language: "go", onSigterm: "stay", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  { language: "go", onSigterm: "exit", extension: "none", endedBy: "itself", outcome: "closed" },
  { language: "go", onSigterm: "exit", extension: "external", endedBy: "itself", outcome: "closed" },
  { language: "rust", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "rust", extension: "external", endedBy: "SIGTERM, unheard", outcome: "aborted" },
  // The client registers an internal extension here as well, and leaves once the callback is done.
  { language: "rust", onSigterm: "exit", extension: "none", endedBy: "itself", outcome: "closed" },
  { language: "rust", onSigterm: "exit", extension: "external", endedBy: "itself", outcome: "closed" },
  { language: "java", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  // The JVM waits 300 ms for the thread that is in the client's native call, which is all that it has.
  { language: "java", extension: "external", endedBy: DEADLINE, outcome: "aborted" },
  { language: "java", onSigterm: "hook", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  { language: "shell", extension: "none", endedBy: "SIGKILL at once" },
  { language: "shell", extension: "external", endedBy: "SIGTERM, unheard" },
  { language: "shell", onSigterm: "exit", extension: "external", endedBy: "itself" },
];

/**
 * Builds the handler the first time: seconds for Go and Python, minutes for Rust and Java on a busy machine.
 *
 * @param tls as in {@link Subject}; needed where the database has TLS, because PyMySQL then asks for it
 */
export async function runLanguageCase(
  { language, onSigterm, extension }: LanguageCase,
  database: DatabaseServer,
  tls?: SecureContext,
): Promise<RunResult> {
  const { directory, handler, runtime } = languageHandler(language);
  const environment: Record<string, string> = onSigterm === undefined ? {} : { ON_SIGTERM: onSigterm };
  const lambdaFunction = { name: language, directory, handler, memorySizeMb: 512, timeoutMs: 10_000, environment };
  const subject: Subject = {
    ...{ name: language, lambdaFunction, extensions: [], variables: (login) => userVariables(login) },
    ...(tls === undefined ? {} : { tls }),
  };
  const end = { how: "spindown", frozenMs: 100 } as const;
  return run(withExtension(subject, extension), lambdaRuntime(runtime), database, [{}, {}], end);
}

const CLIENTS: Readonly<Record<Language, string>> = {
  nodejs: "Node.js, `aws-lambda-ric`",
  python: "Python, `awslambdaric`",
  go: "Go, `aws-lambda-go`",
  rust: "Rust, `lambda_runtime`",
  java: "Java, `aws-lambda-java-runtime-interface-client`",
  shell: "a shell with curl, without a connection",
};

const ON_SIGTERM: Readonly<Record<NonNullable<LanguageCase["onSigterm"]>, string>> = {
  leave: "closes, raises SIGTERM again",
  exit: "closes, exits",
  "sys.exit": "closes, sys.exit(0)",
  stay: "closes",
  hook: "a shutdown hook closes",
};

/** The table of lab/README.md: what becomes of a handler's connection, and what ends its process. */
export function languagesTable(): string {
  const rows = new Map<string, { readonly cells: readonly string[]; readonly ends: Map<ExtensionKind, string> }>();
  for (const { language, onSigterm, extension, outcome, endedBy } of LANGUAGE_CASES) {
    if (outcome === undefined) continue;
    const client = onSigterm === undefined ? CLIENTS[language] : "";
    const cells = [client, onSigterm === undefined ? "does not listen" : ON_SIGTERM[onSigterm]];
    const key = `${language} ${onSigterm ?? ""}`;
    const row = rows.get(key) ?? { cells, ends: new Map<ExtensionKind, string>() };
    row.ends.set(extension, `${outcome}; ${endedBy}`);
    rows.set(key, row);
  }
  return markdownTable([
    ["client", "on SIGTERM", "no extension", "external extension"],
    ...[...rows.values()].map(({ cells, ends }) => [...cells, ends.get("none") ?? "", ends.get("external") ?? ""]),
  ]);
}
