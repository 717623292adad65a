import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { cachedFolder } from "./toolchain-cache";
import type { LambdaRuntime } from "./runtime";

/** AWS's client and what it needs, from PyPI. */
const PACKAGES = { awslambdaric: "4.2.2", simplejson: "4.3.0", "snapshot-restore-py": "1.0.0" };

const CLIENT = `awslambdaric ${PACKAGES.awslambdaric}`;

/** As the bootstrap of AWS's own image starts it. */
const START = `import os; from awslambdaric.__main__ import main; main(["bootstrap", os.environ["_HANDLER"]])`;

/**
 * AWS's client for Python in a virtual environment, which is made the first time. It takes the Python of the runtime's
 * version where that is on the PATH, and `python3` otherwise.
 *
 * @param name such as `python3.13`
 * @throws if there is no Python, or the client cannot be installed; the message says what to do
 */
export function pythonRuntime(name: string): LambdaRuntime {
  const wanted = name.slice("python".length);
  const [found] = [name, ...pyenvVersions(wanted), "python3"].flatMap(versionOf);
  if (found === undefined) {
    throw new Error(
      `runtime "${name}": neither ${name} nor python3 is on the PATH; on Debian: apt-get install python3`,
    );
  }
  const { program, version } = found;
  const folder = cachedFolder(`python-${version}-awslambdaric-${PACKAGES.awslambdaric}`, (empty) => {
    makeEnvironment(name, program, empty);
  });
  const inItsPlace = version.startsWith(`${wanted}.`) ? "" : ` (this machine's, instead of ${wanted})`;
  return {
    name,
    command: [join(folder, "bin", "python"), "-c", START],
    isAwsClient: true,
    ...(inItsPlace === "" ? {} : { otherVersion: `Python ${version}` }),
    description: `Python ${version}${inItsPlace}, ${CLIENT} (AWS's runtime client)`,
  };
}

function versionOf(program: string): readonly { readonly program: string; readonly version: string }[] {
  const code = "import platform; print(platform.python_version())";
  const { status, stdout } = spawnSync(program, ["-c", code], { encoding: "utf8" });
  return status === 0 ? [{ program, version: stdout.trim() }] : [];
}

function makeEnvironment(name: string, program: string, folder: string): void {
  process.stderr.write(`… installing ${CLIENT}, AWS's runtime client for Python, from PyPI\n`);
  const make = spawnSync(program, ["-m", "venv", folder], { encoding: "utf8" });
  if (make.status !== 0 || !existsSync(join(folder, "bin", "pip"))) {
    const how = "on Debian: apt-get install python3-venv";
    throw new Error(`runtime "${name}": ${program} makes no virtual environment; ${how}\n${excerpt(make.stdout)}`);
  }
  const packages = Object.entries(PACKAGES).map(([each, version]) => `${each}==${version}`);
  const args = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", ...packages];
  const install = spawnSync(join(folder, "bin", "python"), args, { encoding: "utf8" });
  if (install.status !== 0) {
    throw new Error(`runtime "${name}": ${CLIENT} could not be installed from PyPI\n${excerpt(install.stderr)}`);
  }
}

/** pyenv's programs for versions that are installed and not selected. */
function pyenvVersions(wanted: string): readonly string[] {
  const folder = join(process.env["PYENV_ROOT"] ?? join(homedir(), ".pyenv"), "versions");
  if (!existsSync(folder)) return [];
  const versions = readdirSync(folder).filter((version) => version.startsWith(`${wanted}.`));
  return versions.map((version) => join(folder, version, "bin", "python3"));
}

function excerpt(output: string): string {
  return output.trim().split("\n").slice(-5).join("\n");
}
