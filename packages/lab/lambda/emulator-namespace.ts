import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExternalExtension, LambdaFunction } from "./execution-environment";
import type { LambdaRuntime } from "./lambda-runtime";
import type { Layers } from "./layers";
import { canRun, checkMountNamespace, withOpt, WITH_OPT } from "./mount-namespace";
import { runtimeCommand } from "./runtime-command";

/**
 * On Managed Instances the emulator starts /var/runtime/bootstrap in /var/task as the user 993. These folders need not
 * exist, and /var may not be written to, so /var becomes a new folder that has all that the old one had. The user's one
 * capability lets it read code that only root may read; setpriv keeps it when the emulator changes the user.
 */
const WITH_VAR = `set -e
task=$1; shift
mount --rbind /var "$0/var"
mount -t tmpfs -o mode=755 lab /var
for old in "$0"/var/* "$0"/var/.[!.]*; do
  new=/var/\${old##*/}
  if [ -L "$old" ]; then cp -P "$old" "$new"
  elif [ -d "$old" ]; then mkdir "$new"; mount --rbind "$old" "$new"
  elif [ -e "$old" ]; then : > "$new"; mount --bind "$old" "$new"
  fi
done
mkdir -p /var/task /var/runtime
mount --bind "$task" /var/task
mount --bind "$0/runtime" /var/runtime
${WITH_OPT}`;
const AS_993 = [
  "setpriv",
  "--securebits=+no_setuid_fixup",
  "--inh-caps=+dac_read_search",
  "--ambient-caps=+dac_read_search",
];

/** @throws if the emulator cannot run here; the message says what it needs */
export function checkNamespace(isManaged: boolean): void {
  if (!isManaged) {
    checkMountNamespace("AWS's emulator takes its extensions from");
    return;
  }
  // A namespace of one's own has one user, and the emulator changes to another.
  if (process.getuid?.() !== 0 || !canRun(["unshare", "--mount", ...AS_993, "true"])) {
    throw new Error(
      "AWS's emulator runs a function of Managed Instances as the user 993, in /var/task: run the lab as root on Linux, " +
        "with unshare and setpriv of util-linux, or leave --emulator out",
    );
  }
}

/**
 * The emulator's command in a mount namespace, in which /opt/extensions has these extensions. Each of the programs is
 * replaced by the next.
 *
 * @param folder an empty one
 */
export function inNamespace(
  folder: string,
  extensions: readonly ExternalExtension[],
  words: readonly string[],
  layers?: Layers,
): readonly string[] {
  writeExtensions(folder, extensions, layers);
  return withOpt(folder, words);
}

/** The same for Managed Instances, with the function at /var/task and its runtime at /var/runtime/bootstrap. */
export function inManagedNamespace(
  folder: string,
  extensions: readonly ExternalExtension[],
  lambdaFunction: LambdaFunction,
  runtime: LambdaRuntime,
  words: readonly string[],
  layers?: Layers,
): readonly string[] {
  writeExtensions(folder, extensions, layers);
  for (const name of ["var", "runtime"]) mkdirSync(join(folder, name));
  // AWS's own bootstrap sets the variable too; the emulator does not hand it on.
  const variable = `export AWS_EXECUTION_ENV=AWS_Lambda_${runtime.name}\n`;
  writeProgram(join(folder, "runtime", "bootstrap"), runtimeCommand(lambdaFunction, runtime), variable);
  const { directory } = lambdaFunction;
  return ["unshare", "--mount", "/bin/sh", "-c", WITH_VAR, folder, directory, ...AS_993, ...words];
}

function writeExtensions(folder: string, extensions: readonly ExternalExtension[], layers?: Layers): void {
  layers?.copyTo(join(folder, "opt"));
  const path = join(folder, "opt", "extensions");
  mkdirSync(path, { recursive: true });
  for (const { name, command } of extensions) writeProgram(join(path, name), command);
}

function writeProgram(path: string, command: readonly string[], before = ""): void {
  const line = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  writeFileSync(path, `#!/bin/sh\n${before}exec ${line}\n`);
  chmodSync(path, 0o755);
}
