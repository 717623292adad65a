import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionEnvironment } from "../execution-environment";

/** What one test of Jest's starts: both are gone after it. */
export interface TestEnvironments {
  /** A directory of the test's own. */
  readonly folder: string;
  /** Those that are to be shut down. */
  readonly environments: ExecutionEnvironment[];
}

/** To be called at the top of a file of tests. */
export function testEnvironments(): TestEnvironments {
  const environments: ExecutionEnvironment[] = [];
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "environments-"));
  });
  afterEach(async () => {
    await Promise.all(environments.splice(0).map((environment) => environment.shutdown()));
    rmSync(folder, { recursive: true });
  });
  return {
    get folder() {
      return folder;
    },
    environments,
  };
}
