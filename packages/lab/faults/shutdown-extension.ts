/** What makes Lambda send SIGTERM: an extension beside the runtime, or one inside the function. */
export type ShutdownExtension = "external" | "internal";

/** Milliseconds from SIGTERM to SIGKILL. */
export const BUDGET_MS: Readonly<Record<ShutdownExtension, number>> = { external: 300, internal: 500 };
