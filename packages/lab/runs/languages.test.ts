/** Handlers in other languages, on AWS's own clients for them, against a real server: one verdict each. */
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { languageHandler, missingToolchain } from "../functions/language-handlers";
import { handlerLanguage } from "../functions/handler-language";
import { advice } from "./advice";
import { LANGUAGE_CASES, runLanguageCase } from "./language-cases";
import { runVerdict } from "./verdict";

let database: DatabaseServer;

beforeAll(async () => {
  database = await startDatabaseServer();
  if (database.kind === "fake") throw new Error("a real server is needed: install mariadb-server-core");
});

afterAll(async () => {
  await database.stop();
});

/** The first test of a language builds its handler. */
const BUILD_MS = 1_200_000;

const TITLED = LANGUAGE_CASES.map((each) => {
  const { language, onSigterm = "does not listen", extension, outcome = "no connection", endedBy } = each;
  return [
    `${language}, on SIGTERM: ${onSigterm}, extension: ${extension} → ${outcome}, ended by ${endedBy}`,
    each,
  ] as const;
});

test.each(TITLED)(
  "%s",
  async (_, each) => {
    const { language, endedBy, outcome } = each;
    const missing = missingToolchain(language);
    if (missing !== undefined) {
      console.warn(`not proven here: ${missing}`);
      return;
    }
    const result = await runLanguageCase(each, database);
    if (result.otherRuntime !== undefined) {
      console.warn(`not proven here: the lab ran ${result.otherRuntime}`);
      return;
    }
    expect(result).toMatchObject({ invocations: [{ ok: true }, { ok: true }], shutdown: { endedBy } });
    expect(result.outcomes).toEqual(outcome === undefined ? [] : [outcome]);
    expect(result.abortedClients).toBe(outcome === "aborted" ? 1 : 0);
    if (language === "java" && outcome === "closed") {
      const { kind, sentence } = runVerdict(result);
      expect(kind).toBe("not clean");
      expect(sentence).toContain("was killed at its deadline, with every connection given back");
      expect(advice(result)).toContain("best an internal one");
      expect(result.quitMs).toBeLessThan(250);
    }
  },
  BUILD_MS,
);

test.each(["go", "rust", "python", "java"] as const)("the advice is in the handler's language: %s", (language) => {
  const missing = missingToolchain(language);
  if (missing !== undefined) {
    console.warn(`not proven here: ${missing}`);
    return;
  }
  const { directory, runtime } = languageHandler(language);
  expect(handlerLanguage(directory, runtime)).toBe(language);
});
