import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { projectFiles } from "../files";

const ROOT = join(__dirname, "../../../..");

export interface Ended {
  readonly status: number;
  readonly output: string;
  readonly seconds: number;
}

/** A copy of this project, as a clone has it, that a test may change and run commands in. It goes after the file's tests. */
export class Fork {
  readonly directory = mkdtempSync(join(tmpdir(), "fork-"));

  readonly files: readonly string[];

  constructor() {
    this.files = projectFiles();
    for (const file of this.files) {
      mkdirSync(dirname(join(this.directory, file)), { recursive: true });
      copyFileSync(join(ROOT, file), join(this.directory, file));
    }
    execFileSync("git", ["init", "--quiet"], { cwd: this.directory });
    afterAll(() => {
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  delete(...paths: readonly string[]): void {
    for (const path of paths) rmSync(join(this.directory, path), { recursive: true });
  }

  write(file: string, content: string): void {
    mkdirSync(dirname(join(this.directory, file)), { recursive: true });
    writeFileSync(join(this.directory, file), content);
  }

  read(file: string): Buffer {
    return readFileSync(join(this.directory, file));
  }

  /** Replaces text that the file has to have. */
  edit(file: string, from: RegExp, to: string): void {
    const path = join(this.directory, file);
    const text = readFileSync(path, "utf8");
    if (!from.test(text)) throw new Error(`${file} has nothing like ${String(from)}`);
    writeFileSync(path, text.replace(from, to));
  }

  /** Resolves however the command ends. */
  run(command: string, environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const begun = performance.now();
    const inherited = Object.entries(process.env).filter(([name]) => !/^(JEST|FORCE_COLOR|npm_|INIT_CWD)/.test(name));
    const env = { ...Object.fromEntries(inherited), CI: "true", CHECKPOINT_DISABLE: "1", ...environment };
    return new Promise((resolve) => {
      execFile("sh", ["-c", command], { cwd: this.directory, env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ status, output: stdout + stderr, seconds: (performance.now() - begun) / 1_000 });
      });
    });
  }
}

/** @throws Error with what the command wrote, if it failed */
export function succeeded(ended: Ended): Ended {
  if (ended.status !== 0) throw new Error(`exit code ${ended.status}\n${ended.output.slice(-20_000)}`);
  return ended;
}
