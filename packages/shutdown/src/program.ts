import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync, transformSync } from "esbuild";

/** What a program that uses the package wrote, and how it ended, when it got a signal. */
export interface Ending {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly ms: number;
  readonly output: string;
  readonly report: {
    signal: string;
    level: string;
    timestamp: string;
    hooks: { name: string; result: string; error?: string; closed?: number; givenUp?: number }[];
    heldBack?: { what: string; error?: string }[];
    durationMs: number;
  };
}

export const folder = mkdtempSync(join(tmpdir(), "shutdown-"));
/** The package as one module: it starts in a fraction of the time that a compiler in each program takes. */
export const SHUTDOWN = join(folder, "shutdown.mjs");
beforeAll(() => {
  const entryPoints = [join(__dirname, "index.ts")];
  buildSync({ entryPoints, outfile: SHUTDOWN, bundle: true, platform: "node", format: "esm", logLevel: "warning" });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let programs = 0;

/** @returns the program's file */
function written(program: string, before = ""): string {
  const file = join(folder, `program-${(programs += 1)}.mjs`);
  const imported = join(folder, `before-${programs}.mjs`);
  writeFileSync(imported, before);
  const source = `import ${JSON.stringify(imported)};
    import { closeOnShutdown, onShutdown } from ${JSON.stringify(SHUTDOWN)};
    ${program}
    setInterval(() => 0, 1000); console.log("ready");`;
  writeFileSync(file, transformSync(source, { loader: "ts" }).code);
  return file;
}

/** Runs a program until it prints "ready", sends it the signals, and waits for its end. */
export async function end(
  program: string,
  signals: readonly NodeJS.Signals[] = ["SIGTERM"],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly wrapper?: readonly string[];
    /** A module that is imported before the package. */
    readonly before?: string;
    /** Close the reading end of the program's standard output before the signals. */
    readonly closeOutput?: boolean;
  } = {},
): Promise<Ending> {
  const [command, ...args] = [...(options.wrapper ?? []), process.execPath, written(program, options.before)];
  const child = spawn(command, args, { env: { PATH: process.env["PATH"], ...options.env } });
  const limit = setTimeout(() => child.kill("SIGKILL"), 10_000); // one that cannot end must not hold up the rest
  let output = "";
  let begun = 0;
  const add = (chunk: Buffer): void => {
    output += chunk.toString();
    if (begun > 0 || !output.includes("ready")) return;
    begun = performance.now();
    if (options.closeOutput === true) child.stdout.destroy();
    for (const signal of signals) child.kill(signal);
  };
  child.stdout.on("data", add);
  child.stderr.on("data", add);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on("close", (...how) => {
      resolve(how);
    });
  });
  clearTimeout(limit);
  const line = output.split("\n").find((candidate) => candidate.startsWith('{"event":"shutdown"')) ?? "{}";
  return { code, signal, ms: performance.now() - begun, output, report: JSON.parse(line) as Ending["report"] };
}
