/** The function, staged beside this file, except that on SIGTERM it does nothing but leave. */
process.on("SIGTERM", () => {
  process.removeAllListeners("SIGTERM");
  process.kill(process.pid, "SIGTERM");
});

// After the listener, which has to be the first.
export const { handler } = await import("./function/index.mjs");
