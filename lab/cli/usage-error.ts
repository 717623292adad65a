/** The command was called in a way that cannot work, which its exit code tells apart from what it has found out. */
export class UsageError extends Error {
  override readonly name = "WrongUsage";
}
