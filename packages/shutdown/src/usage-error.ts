/** A call of this package that cannot work. The code stays the same when the message changes. */
export class UsageError extends TypeError {
  constructor(
    readonly code: "ERR_LGS_HOOK_NAME" | "ERR_LGS_HOOK" | "ERR_LGS_HOOK_BEFORE" | "ERR_LGS_NOT_CLOSABLE",
    message: string,
  ) {
    super(message);
  }
}

/** The type of a value, for an error message. The value itself may be a secret. */
export function typeName(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  const { constructor } = value as { readonly constructor?: { readonly name?: unknown } };
  return typeof constructor?.name === "string" && constructor.name !== "" ? constructor.name : "object";
}
