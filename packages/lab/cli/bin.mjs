#!/usr/bin/env node
/** The executable `lambda-shutdown-lab`. The lab's sources are TypeScript, which tsx loads. */
await import("tsx");
await import("./lab");
