import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { EMULATOR_PACKAGE, emulatorProgram } from "./emulator";
import { checkNamespace } from "./emulator-namespace";
import { cachedFolder } from "./toolchain-cache";

/**
 * AWS's emulator, built once where Go is.
 *
 * @returns nothing where there is no Go, or where extensions cannot be brought to it
 * @throws if Go cannot build it
 */
export function builtEmulator(): string | undefined {
  if (process.platform !== "linux" || spawnSync("go", ["version"]).status !== 0) return undefined;
  try {
    checkNamespace(false);
  } catch {
    return undefined;
  }
  const version = EMULATOR_PACKAGE.split("-").at(-1) ?? "";
  const folder = cachedFolder(`aws-lambda-rie-${version}`, (empty) => {
    const env = { ...process.env, GOBIN: empty, GOFLAGS: "-mod=mod" };
    const { status, stderr } = spawnSync("go", ["install", EMULATOR_PACKAGE], { env, encoding: "utf8" });
    if (status !== 0) throw new Error(`AWS's emulator could not be built\n${stderr}`);
  });
  return emulatorProgram(join(folder, "aws-lambda-rie"));
}
