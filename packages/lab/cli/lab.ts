/** `lambda-shutdown-lab <command>`: Lambda's three phases on this machine, with the database watching. */
import { Command, CommanderError, Help } from "commander";
import { compareCommand } from "./compare";
import { faultsCommand } from "./faults";
import { EXIT_CODES, STOPPED_BY_ERROR, WRONG_USAGE } from "./exit-codes";
import { observeCommand } from "./observe";
import { reportCommand } from "./report";
import { runCommand } from "./run";
import { stormCommand } from "./storm";
import { AttachError } from "../functions/attach-layer";
import { ProjectError } from "../functions/project";
import { LayerError } from "../lambda/layers";
import { UserFunctionError } from "../functions/user-function";
import { version } from "../package.json";
import { UsageError } from "./usage-error";

const program = new Command("lambda-shutdown-lab")
  .description(
    "Lambda's Init, Invoke and Shutdown phases on this machine, on AWS's own runtime client, with the database watching.\n" +
      "The database is MYSQL_URL if that is set, else a mariadbd or mysqld on the PATH, else an embedded fake.",
  )
  .version(version)
  .exitOverride()
  .configureOutput({
    writeOut: (text) => process.stdout.write(fitted(text, process.stdout)),
    writeErr: (text) => process.stderr.write(fitted(text, process.stderr)),
  })
  .showHelpAfterError("(--help shows what is allowed, with examples)")
  .addHelpText(
    "after",
    `
Examples:
  $ npx lambda-shutdown-lab run                            one environment, its timeline, what became of its connections
  $ npx lambda-shutdown-lab compare --handler ./theirs     a handler of yours beside this template's, and what to change in it
  $ npx lambda-shutdown-lab faults --help                  every command has examples
${EXIT_CODES}`,
  );
for (const command of [
  runCommand(),
  compareCommand(),
  faultsCommand(),
  stormCommand(),
  reportCommand(),
  observeCommand(),
]) {
  program.addCommand(command.copyInheritedSettings(program));
}

/** The examples and paragraphs of a help, too, as wide as the terminal. */
function fitted(text: string, { columns = 0 }: { readonly columns?: number }): string {
  return columns === 0 ? text : new Help().boxWrap(text, columns);
}

/** Of the file system, about a place that the user chose or that is not writable here. */
function isAboutFiles(error: unknown): boolean {
  const { code = "", path } = error as NodeJS.ErrnoException;
  return path !== undefined && ["EROFS", "EACCES", "EPERM", "ENOSPC", "ENOTDIR"].includes(code);
}

/** Errors of the command's user. */
const WRONG_USES = [UsageError, UserFunctionError, LayerError, AttachError, ProjectError];

// A reader such as `head` may leave early. The exit code stays that of the command.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    process.once("exit", () => (process.exitCode = STOPPED_BY_ERROR)); // after the command has set its own
    if (stream === process.stdout) console.error(`error: standard output cannot be written: ${error.message}`);
  });
}

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // It has said so itself; --help is an error, too, to commander.
    process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE;
    return;
  }
  const isFiles = isAboutFiles(error);
  const where = isFiles ? ". The lab needs a directory that it can write to; start it in another one" : "";
  console.error(`error: ${error instanceof Error ? error.message : String(error)}${where}`);
  const isUsage = isFiles || WRONG_USES.some((kind) => error instanceof kind);
  process.exitCode = isUsage ? WRONG_USAGE : STOPPED_BY_ERROR;
});
