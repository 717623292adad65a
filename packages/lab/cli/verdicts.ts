import { Command, Option } from "commander";
import { builtEmulator } from "../lambda/built-emulator";
import { emulatorProgram } from "../lambda/emulator";
import { checkNamespace } from "../lambda/emulator-namespace";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { emulatorKind, runInEmulator } from "../runs/emulator-run";
import { HandlerJudge } from "../runs/handler-judge";
import { LANGUAGE_CASES, languagesTable, runLanguageCase, type LanguageCase } from "../runs/language-cases";
import { EXPECTED_ROWS, USER_HANDLERS, userHandlersTable, type UserHandlerRow } from "../runs/user-handlers";
import type { DatabaseServer } from "../mysql/server";
import { missingToolchain } from "../functions/language-handlers";
import { inCommandContext, type CommandContext } from "./command-context";
import { STOPPED_BY_ERROR } from "./exit-codes";
import { fromInvocationDirectory } from "./invocation-directory";

const TABLES = ["handlers", "languages", "all"] as const;

interface VerdictsOptions {
  readonly table: (typeof TABLES)[number];
  /** Only the rows whose name holds it. @default - all */
  readonly only?: string;
  /** A path. @default - the one on the PATH, else one that Go builds */
  readonly emulator?: string;
  readonly markdown?: boolean;
  readonly json?: boolean;
}

interface Row {
  readonly name: string;
  /** What is not as the README says, or why it did not run. @default - as expected */
  readonly problem?: string;
  /** It did not run on this machine, which is no failure. */
  readonly isUnproven?: true;
}

export function verdictsCommand(): Command {
  return new Command("verdicts")
    .summary("the tables of the lab's README: handlers as people write them, in many libraries and languages")
    .description(
      "Runs the handlers of the tables in the lab's README, and prints what the lab and AWS's emulator make of each.",
    )
    .addOption(new Option("--table <name>", "which").choices(TABLES).default("all"))
    .option("--only <text>", "only the rows whose name holds this")
    .option("--emulator <path>", "AWS's emulator (default: aws-lambda-rie on the PATH, else one that Go builds)")
    .option("--markdown", "print the tables as the README has them")
    .option("--json", "print the rows as JSON, and nothing else, on standard output")
    .addHelpText(
      "after",
      `
Examples:
  $ npx lambda-shutdown-lab verdicts
  $ npx lambda-shutdown-lab verdicts --table languages --only go
  $ npx lambda-shutdown-lab verdicts --markdown

The first run builds what it needs: AWS's emulator, the Prisma client and the handlers in other languages. What cannot
run on this machine is "not proven here", with the reason.

Exit code: 0 each row that ran is as the README says, 1 one is not.`,
    )
    .action(async (options: VerdictsOptions) => {
      const rows = await inCommandContext((context) => play(context, options));
      if (rows.some(({ problem, isUnproven }) => problem !== undefined && isUnproven !== true)) {
        process.exitCode = STOPPED_BY_ERROR;
      }
    });
}

async function play(context: CommandContext, options: VerdictsOptions): Promise<readonly Row[]> {
  const { table, only = "", markdown, json } = options;
  const database = await context.database();
  const handlers = table === "languages" ? [] : await handlerRows(context, database, only, options.emulator);
  const languages = table === "handlers" ? [] : await languageRows(context, database, only);
  const rows = [...handlers, ...languages];
  if (json === true) {
    console.log(JSON.stringify({ handlers, languages }, undefined, 2));
    return rows;
  }
  const tables = [
    ...(handlers.length === 0 ? [] : [userHandlersTable(handlers)]),
    ...(languages.length === 0 ? [] : [languagesTable(languages)]),
  ];
  if (markdown === true) {
    console.log(tables.join("\n\n"));
    return rows;
  }
  for (const { name, problem, ...row } of rows) {
    const seen = "verdict" in row ? `${row.verdict}; AWS's emulator: ${row.emulated}` : described(row);
    console.log(`${problem === undefined ? "✓" : row.isUnproven === true ? "–" : "✗"} ${name}: ${problem ?? seen}`);
  }
  return rows;
}

async function handlerRows(
  context: CommandContext,
  database: DatabaseServer,
  only: string,
  path: string | undefined,
): Promise<readonly (UserHandlerRow & Row)[]> {
  const emulator = await context.step(
    "preparing AWS's emulator",
    () => emulatorOf(path),
    ({ program, missing }) => `emulator     ${program ?? `not proven here: ${missing}`}`,
  );
  const judge = new HandlerJudge(database);
  const rows: (UserHandlerRow & Row)[] = [];
  try {
    for (const [index, handler] of USER_HANDLERS.entries()) {
      const expected = EXPECTED_ROWS[index];
      if (expected === undefined || !handler.name.toLowerCase().includes(only.toLowerCase())) continue;
      const row = await context.step(
        handler.name,
        async (): Promise<UserHandlerRow & Row> => {
          const missing = await judge.missing(handler);
          if (missing !== undefined) {
            const unproven = `not proven here: ${missing}`;
            return { ...expected, verdict: unproven, emulated: unproven, problem: unproven, isUnproven: true };
          }
          const runtime = lambdaRuntime(handler.runtime ?? "nodejs24.x");
          const { verdict, change } = await judge.judge(handler, runtime);
          const subject = await judge.subject(handler);
          const emulated =
            emulator.program === undefined || !runtime.isAwsClient
              ? `not proven here: ${runtime.isAwsClient ? emulator.missing : "no AWS runtime client"}`
              : emulatorKind(await runInEmulator(subject, runtime, database, [{}], { how: "idle" }, emulator.program));
          const holds =
            expected.advice === undefined ? change === undefined : change?.includes(expected.advice) === true;
          const row = { name: handler.name, verdict: verdict.kind, emulated, advice: holds ? expected.advice : change };
          const wrong = differences(expected, row);
          return wrong === "" ? row : { ...row, problem: wrong };
        },
        ({ name, problem }) => `${name}${problem === undefined ? "" : `: ${problem}`}`,
      );
      rows.push(row);
    }
  } finally {
    await judge.close();
  }
  return rows;
}

/** What is not as the README says; empty if all is. */
function differences(expected: UserHandlerRow, seen: UserHandlerRow): string {
  const { verdict, emulated, advice } = seen;
  return [
    ...(verdict === expected.verdict ? [] : [`${verdict}, and not ${expected.verdict}`]),
    ...(emulated === expected.emulated || emulated.startsWith("not proven here")
      ? []
      : [`${emulated} in AWS's emulator, and not ${expected.emulated}`]),
    ...(advice === expected.advice ? [] : [`the advice is "${advice ?? ""}", and not "${expected.advice ?? ""}"`]),
  ].join("; ");
}

interface FoundEmulator {
  readonly program: string | undefined;
  readonly missing: string;
}

function emulatorOf(path: string | undefined): FoundEmulator {
  if (path !== undefined) return { program: emulatorProgram(fromInvocationDirectory(path)), missing: "" };
  try {
    checkNamespace(false);
  } catch {
    return { program: undefined, missing: "no mount namespace for AWS's emulator" };
  }
  try {
    return { program: emulatorProgram(), missing: "" };
  } catch {
    return { program: builtEmulator(), missing: "no AWS emulator, and no Go to build it" };
  }
}

type LanguageRow = Omit<LanguageCase, "endedBy"> & { readonly endedBy: string } & Row;

async function languageRows(
  context: CommandContext,
  database: DatabaseServer,
  only: string,
): Promise<readonly LanguageRow[]> {
  const rows: LanguageRow[] = [];
  const tls = (await context.awsStandIns()).tls();
  for (const each of LANGUAGE_CASES) {
    const { language, onSigterm, extension } = each;
    const name = `${language}, on SIGTERM: ${onSigterm ?? "does not listen"}, extension: ${extension}`;
    if (!name.toLowerCase().includes(only.toLowerCase())) continue;
    const row = await context.step(
      name,
      async (): Promise<LanguageRow> => {
        const shown = { language, extension, ...(onSigterm === undefined ? {} : { onSigterm }), name };
        const missing = missingToolchain(language);
        if (missing !== undefined) {
          const problem = `not proven here: ${missing}`;
          return { ...shown, endedBy: problem, problem, isUnproven: true };
        }
        const { outcomes, shutdown } = await runLanguageCase(each, database, tls);
        const outcome = outcomes[0] === undefined ? {} : { outcome: outcomes[0] };
        const row = { ...shown, endedBy: shutdown.endedBy, ...outcome };
        const isExpected = row.endedBy === each.endedBy && outcomes[0] === each.outcome && outcomes.length <= 1;
        return isExpected ? row : { ...row, problem: `${described(row)}, and not ${described(each)}` };
      },
      ({ problem }) => `${name}${problem === undefined ? "" : `: ${problem}`}`,
    );
    rows.push(row);
  }
  return rows;
}

function described({ outcome, endedBy }: Pick<LanguageRow, "outcome" | "endedBy">): string {
  return `${outcome ?? "no connection"}, ended by ${endedBy}`;
}
