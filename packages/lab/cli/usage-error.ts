/** The command was called in a way that cannot work. It has an exit code of its own. */
export class UsageError extends Error {
  override readonly name = "WrongUsage";
}
