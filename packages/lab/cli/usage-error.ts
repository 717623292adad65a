/** The command was called in a way that cannot work. It has an exit code of its own. */
export class UsageError extends Error {
  override readonly name = "WrongUsage";
}

/** @throws UsageError with the message of what the check throws, behind what names the value */
export function checked<T>(check: () => T, value = ""): T {
  try {
    return check();
  } catch (error) {
    throw new UsageError(value + (error instanceof Error ? error.message : String(error)));
  }
}
