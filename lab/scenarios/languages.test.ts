/** Handlers in other languages, on AWS's own clients for them, against a real server: one verdict each. */
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer, Login } from "../mysql/server";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { hasToolchain, languageHandler, type Language } from "../subjects/language-handlers";
import { handlerLanguage } from "../subjects/handler-language";
import { withExtension, type ExtensionKind } from "../subjects/subject";
import { userVariables } from "../subjects/user-function";
import { run, type RunResult } from "./run";

let database: DatabaseServer;

beforeAll(async () => {
  database = await startDatabaseServer();
  if (database.kind === "stand-in") throw new Error("a real server is needed: install mariadb-server-core");
});

afterAll(async () => {
  await database.stop();
});

interface Case {
  readonly language: Language;
  /** What the handler does on SIGTERM; without it, it does not listen. */
  readonly onSigterm?: "exit" | "stay";
  readonly extension: ExtensionKind;
  readonly endedBy: RunResult["shutdown"]["endedBy"];
  readonly outcome: "closed" | "aborted" | "leaked";
}

/** The first test of a language builds its handler: seconds for Go and Python, minutes for Rust on a busy machine. */
const BUILD_MS = 1_200_000;

const DEADLINE = "SIGKILL at its deadline";

const CASES: readonly Case[] = [
  { language: "go", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "go", extension: "external", endedBy: "itself", outcome: "aborted" },
  // The client registers an internal extension, so that SIGTERM comes without another; it does not leave by itself.
  { language: "go", onSigterm: "stay", extension: "none", endedBy: DEADLINE, outcome: "closed" },
  { language: "go", onSigterm: "stay", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  { language: "go", onSigterm: "exit", extension: "none", endedBy: "itself", outcome: "closed" },
  { language: "go", onSigterm: "exit", extension: "external", endedBy: "itself", outcome: "closed" },
  { language: "python", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "python", extension: "external", endedBy: "SIGTERM, unheard", outcome: "aborted" },
  { language: "python", onSigterm: "stay", extension: "external", endedBy: DEADLINE, outcome: "closed" },
  { language: "python", onSigterm: "exit", extension: "external", endedBy: "itself", outcome: "closed" },
  { language: "rust", extension: "none", endedBy: "SIGKILL at once", outcome: "leaked" },
  { language: "rust", extension: "external", endedBy: "SIGTERM, unheard", outcome: "aborted" },
  // The client registers an internal extension here as well, and leaves once the callback is done.
  { language: "rust", onSigterm: "exit", extension: "none", endedBy: "itself", outcome: "closed" },
  { language: "rust", onSigterm: "exit", extension: "external", endedBy: "itself", outcome: "closed" },
];

test.each(CASES)(
  "$language, on SIGTERM: $onSigterm, extension: $extension → $outcome, ended by $endedBy",
  async ({ language, onSigterm, extension, endedBy, outcome }) => {
    if (!hasToolchain(language)) {
      console.warn(`not proven here, for want of its toolchain: ${language}`);
      return;
    }
    const { directory, handler, runtime } = languageHandler(language);
    const environment = onSigterm === undefined ? {} : { ON_SIGTERM: onSigterm };
    const lambdaFunction = { name: language, directory, handler, memorySizeMb: 128, timeoutMs: 10_000, environment };
    const subject = {
      name: language,
      lambdaFunction,
      extensions: [],
      variables: (login: Login) => userVariables(login),
    };
    const result = await run(withExtension(subject, extension), lambdaRuntime(runtime), database, [{}, {}], {
      how: "spindown",
      frozenMs: 100,
    });
    expect(result).toMatchObject({ invocations: [{ ok: true }, { ok: true }], shutdown: { endedBy } });
    expect(result.outcomes).toEqual([outcome]);
    expect(result.abortedClients).toBe(outcome === "aborted" ? 1 : 0);
  },
  BUILD_MS,
);

test.each(["go", "rust", "python"] as const)("the advice is in the handler's language: %s", (language) => {
  if (!hasToolchain(language)) {
    console.warn(`not proven here, for want of its toolchain: ${language}`);
    return;
  }
  const { directory, runtime } = languageHandler(language);
  expect(handlerLanguage(directory, runtime)).toBe(language);
});
