import { cpSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import type { SynthesizedFunction } from "../lab/functions/synthesized-function";
import { articleSubject, noExtension, thisFunction, type Subject } from "../lab/functions/subject";

/**
 * The ways to end, and to begin, that are measured side by side. `internal` is the same code as `ours` with the extension
 * inside the function instead of a layer, `bare` a connection of mysql2's and nothing else, bundled by esbuild as one
 * does, `leaves` the same code as `ours` that on SIGTERM does nothing but leave, `floor` a handler that does nothing at
 * all, and leaves: the less a process has loaded, the sooner the kernel has taken it apart.
 */
export type SubjectKey =
  "ours" | "internal" | "article" | "closeWithGrace" | "bare" | "noExtension" | "leaves" | "floor";

/** @param scratch an existing directory, below which the code of all subjects is staged */
export function benchSubjects(
  { directory, ...rest }: SynthesizedFunction,
  scratch: string,
): Readonly<Record<SubjectKey, Subject>> {
  const synthesized: SynthesizedFunction = { ...rest, directory: copied(directory, join(scratch, "function")) };
  const ours = thisFunction(synthesized);
  const like = (name: string, folder: string): Subject => ({
    ...{ ...ours, name, lambdaFunction: { ...synthesized, directory: folder } },
  });
  return {
    ours,
    internal: {
      name: "this function, internal extension",
      extensions: [],
      lambdaFunction: {
        ...synthesized,
        environment: { ...synthesized.environment, SHUTDOWN_EXTENSION: "internal", SHUTDOWN_BUDGET_MS: "500" },
      },
    },
    article: articleSubject(synthesized, join(scratch, "article")),
    closeWithGrace: like(
      "close-with-grace",
      bundle("close-with-grace", join(__dirname, "../lab/functions/alternatives"), scratch),
    ),
    bare: like("mysql2 alone", bundle("bare", join(__dirname, "subjects"), scratch)),
    noExtension: noExtension(ours),
    leaves: like("floor: this function, leaves at once", leaves(synthesized, scratch)),
    floor: like(
      "floor: an empty handler, leaves at once",
      copied(join(__dirname, "subjects/floor"), join(scratch, "floor")),
    ),
  };
}

function leaves({ directory }: SynthesizedFunction, scratch: string): string {
  const staged = copied(join(__dirname, "subjects/leaves"), join(scratch, "leaves"));
  copied(directory, join(staged, "function"));
  return staged;
}

function copied(directory: string, target: string): string {
  cpSync(directory, target, { recursive: true });
  return target;
}

function bundle(name: string, folder: string, scratch: string): string {
  const directory = join(scratch, name);
  buildSync({
    entryPoints: [join(folder, name, "index.mjs")],
    outfile: join(directory, "index.mjs"),
    ...{ bundle: true, minifyWhitespace: true, minifySyntax: true, external: ["@aws-sdk/*"], logLevel: "silent" },
    ...{ platform: "node", format: "esm", target: "node24" },
    banner: { js: 'import{createRequire as $r}from"node:module";const require=$r(import.meta.url);' },
  });
  return directory;
}
