/** `npm start`: synthesizes, and runs the code that would be deployed beside two other ways. */
import { Command } from "commander";
import { compare, show } from "./commands/compare";
import { inWorkshop } from "./workshop";

const command = new Command("npm start --")
  .description(
    "Synthesizes the stack, runs the code that would be deployed through Init, Invoke and Shutdown against a MySQL\n" +
      "server, and shows what became of its connection: beside the article's way, and beside no extension.\n" +
      "The server is MYSQL_URL if that is set, else a mariadbd or mysqld on the PATH, else an embedded stand-in.",
  )
  .option("--json", "print the results as JSON, and nothing else, on standard output")
  .addHelpText(
    "after",
    "\nExit code: 0 if the function left no connection behind, 1 if it did or something failed.\n" +
      "npm run lab -- --help has more, for handlers of yours as well.",
  );

command.parse();
const json = command.opts<{ json?: boolean }>().json === true;
inWorkshop(async (workshop) => show(await compare(workshop, { env: {} }), json)).then(
  (clean) => {
    process.exitCode = clean ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
