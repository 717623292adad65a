import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pythonRuntime } from "../lambda/python-runtime";
import { cachedFolder } from "../lambda/toolchain-cache";

/** A handler in another language, on AWS's own client for it, built once from its sources in `language-handlers/`. */
export interface LanguageHandler {
  readonly language: Language;
  readonly directory: string;
  readonly handler: string;
  /** As Lambda names it. */
  readonly runtime: string;
}

export const LANGUAGES = ["nodejs", "python", "go", "rust", "java", "shell"] as const;
export type Language = (typeof LANGUAGES)[number];

interface Build {
  /** What a test says when one is missing. */
  readonly programs: readonly string[];
  readonly runtime: string;
  readonly handler: string;
  /** Run one after the other in a copy of the sources; `{out}` is the directory to deploy, `{python}` the runtime's. */
  readonly commands: readonly (readonly string[])[];
  /** The sources that are deployed as they are. */
  readonly copies?: readonly string[];
}

const MAVEN_DEPENDENCY = "org.apache.maven.plugins:maven-dependency-plugin:2.8";

const BUILDS: Readonly<Record<Language, Build>> = {
  nodejs: {
    programs: ["node"],
    runtime: "nodejs24.x",
    handler: "index.handler",
    commands: [],
    copies: ["index.mjs"],
  },
  java: {
    programs: ["java", "javac", "mvn"],
    runtime: "provided.al2023",
    handler: "Handler::handleRequest",
    commands: [
      ["mvn", "-q", "-B", `${MAVEN_DEPENDENCY}:copy-dependencies`, "-DoutputDirectory={out}/lib"],
      ["javac", "-cp", "{out}/lib/*", "-d", "{out}", "src/Handler.java"],
    ],
    copies: ["bootstrap"],
  },
  shell: {
    programs: ["curl"],
    runtime: "provided.al2023",
    handler: "bootstrap",
    commands: [],
    copies: ["bootstrap"],
  },
  go: {
    programs: ["go"],
    runtime: "provided.al2023",
    handler: "bootstrap",
    commands: [["go", "build", "-o", "{out}/bootstrap", "."]],
  },
  python: {
    programs: ["python3"],
    runtime: "python3.13",
    handler: "lambda_function.lambda_handler",
    commands: [
      ["{python}", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"].concat([
        "--target",
        "{out}",
        "--requirement",
        "requirements.txt",
      ]),
    ],
    copies: ["lambda_function.py"],
  },
  rust: {
    programs: ["cargo"],
    runtime: "provided.al2023",
    handler: "bootstrap",
    commands: [
      ["cargo", "build", "--release", "--locked"],
      ["cp", "target/release/bootstrap", "{out}/bootstrap"],
      ["rm", "-r", "target"],
    ],
  },
};

const SOURCES = join(__dirname, "language-handlers");

/** What this machine lacks to build it; nothing if it can. */
export function missingToolchain(language: Language): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const missing = BUILDS[language].programs.filter((program) =>
    folders.every((folder) => spawnSync(join(folder, program), ["--version"]).error !== undefined),
  );
  return missing.length === 0 ? undefined : `no ${missing.join(", no ")}`;
}

/**
 * Takes seconds for Go and Python, minutes for Rust, and nothing once it is built.
 *
 * @throws with the end of the compiler's output if it cannot be built
 */
export function languageHandler(language: Language): LanguageHandler {
  const { runtime, handler, commands, copies = [] } = BUILDS[language];
  const sources = join(SOURCES, language);
  const hash = createHash("sha256").update(JSON.stringify(BUILDS[language]));
  for (const name of readdirSync(sources, { recursive: true, encoding: "utf8" }).sort()) {
    if (statSync(join(sources, name)).isFile()) hash.update(name).update(readFileSync(join(sources, name)));
  }
  const folder = cachedFolder(`${language}-${hash.digest("hex").slice(0, 12)}`, (empty) => {
    const work = join(empty, "sources");
    const out = join(empty, "deployed");
    cpSync(sources, work, { recursive: true });
    mkdirSync(out);
    for (const file of copies) cpSync(join(sources, file), join(out, file));
    for (const command of commands) {
      const [program = "", ...all] = command.map((word) =>
        word === "{python}" ? python() : word.replace("{out}", out),
      );
      const environment = { ...process.env, CGO_ENABLED: "0" };
      const { status, stdout, stderr, error } = spawnSync(program, all, {
        cwd: work,
        env: environment,
        encoding: "utf8",
      });
      if (status === 0) continue;
      const output = `${stdout}${stderr}${error?.message ?? ""}`.trim().split("\n").slice(-30).join("\n");
      throw new Error(`the handler in ${language} could not be built: ${program} ${all.join(" ")}\n${output}`);
    }
  });
  return { language, directory: join(folder, "deployed"), handler, runtime };
}

/** Debian's own Python has no pip; the runtime's has. */
function python(): string {
  return pythonRuntime(BUILDS.python.runtime).command[0] ?? "python3";
}
