const LISTENERS: Readonly<Record<string, () => void>> = {
  exits: () => process.exit(0),
  throws: () => {
    throw new Error("thrown by a listener");
  },
  rejects: () => void Promise.reject(new Error("rejected by a listener")),
};

/** A SIGTERM listener that does what those of other libraries do: exit hooks, telemetry. */
export function addFaultyListener(how: string): void {
  const listener = LISTENERS[how];
  if (listener === undefined) throw new Error(`FAULT_LISTENER "${how}" is not one of exits, throws, rejects`);
  process.on("SIGTERM", listener);
}
