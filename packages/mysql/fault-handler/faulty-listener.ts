/** A SIGTERM listener that does what those of other libraries do: exit hooks, telemetry. */
export function addFaultyListener(how: string): void {
  switch (how) {
    case "exits":
      process.on("SIGTERM", () => {
        process.exit(0);
      });
      return;
    case "throws":
      process.on("SIGTERM", () => {
        throw new Error("thrown by a listener");
      });
      return;
    case "rejects":
      process.on("SIGTERM", () => {
        void Promise.reject(new Error("rejected by a listener"));
      });
      return;
    default:
      throw new Error(`FAULT_LISTENER "${how}" is not one of exits, throws, rejects`);
  }
}
