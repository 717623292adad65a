import { Testing, TerraformStack } from "cdktf";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { removeStaged } from "../code/archive-directory";
import { GracefulFunction, type GracefulFunctionConfig } from "../graceful-function/graceful-function";

export type Attributes = Readonly<Record<string, unknown>>;

/** The parts of Terraform's JSON that the tests look at. */
export interface Synthesized {
  readonly data: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly resource: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly output: Readonly<Record<string, Attributes>>;
  readonly locals?: Readonly<Record<string, Attributes>>;
}

export const ENTRY = "modules/__tests__/fixture/index.ts";

const directories: string[] = [];

export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), "graceful-test-"));
  directories.push(directory);
  return directory;
}

afterAll(() => {
  removeStaged();
  for (const directory of directories) rmSync(directory, { recursive: true });
});

export function newStack(outdir = temporaryDirectory()): TerraformStack {
  return new TerraformStack(Testing.app({ outdir }), "test");
}

/** A stack of one construct, with settings that are right but for those given. */
export function synthesize(settings: Partial<GracefulFunctionConfig> = {}, stack = newStack()): Synthesized {
  new GracefulFunction(stack, "function", {
    region: "us-east-1",
    functionName: "orders",
    code: { entry: ENTRY },
    ...settings,
  });
  return JSON.parse(Testing.synth(stack)) as Synthesized;
}

/** The one element of that type. */
export function only(
  elements: Readonly<Record<string, Readonly<Record<string, Attributes>>>>,
  type: string,
): Attributes {
  const found = Object.values(elements[type] ?? {});
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} elements of type ${type}`);
  return found[0];
}

/** A policy as an object, references left as they stand. */
export function policy(attribute: unknown): { Statement: Record<string, unknown>[] } {
  return JSON.parse(String(attribute)) as { Statement: Record<string, unknown>[] };
}
