import { Testing, TerraformStack } from "cdktf";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { removeStaged } from "../code/archive-directory";
import { GracefulFunction, type GracefulFunctionConfig } from "../graceful-function/graceful-function";
import { ConstructSettingsError } from "../terraform/construct-settings-error";

export type Attributes = Readonly<Record<string, unknown>>;

/** The parts of Terraform's JSON that the tests look at. */
export interface Synthesized {
  readonly data: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly resource: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly output: Readonly<Record<string, Attributes>>;
  readonly locals?: Readonly<Record<string, Attributes>>;
}

export const ENTRY = "modules/__tests__/fixture/index.ts";
export const FUNCTION = { region: "us-east-1", functionName: "orders", code: { entry: ENTRY } };
export const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders";
export const DATABASE = {
  host: "db.example.com",
  name: "orders",
  auth: { type: "secret", secretArn: SECRET_ARN },
} as const;
export const VPC = { subnetIds: ["subnet-1", "subnet-2"], securityGroupIds: ["sg-1"] };
export const KEY = "arn:aws:kms:us-east-1:123456789012:key/1";
export const LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:tools:3";

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

export function jsonOf(stack: TerraformStack): Synthesized {
  return JSON.parse(Testing.synth(stack)) as Synthesized;
}

/** A stack of one construct, with settings that are right unless others are passed. */
export function synthesize(settings: Partial<GracefulFunctionConfig> = {}, stack = newStack()): Synthesized {
  new GracefulFunction(stack, "function", { ...FUNCTION, ...settings });
  return jsonOf(stack);
}

/** The one function of a stack. */
export function lambdaOf(settings: Partial<GracefulFunctionConfig> = {}, stack = newStack()): Attributes {
  return only(synthesize(settings, stack).resource, "aws_lambda_function");
}

/** All elements of that type. */
export function all({ resource }: Synthesized, type: string): Attributes[] {
  return Object.values(resource[type] ?? {});
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

export function problemsOf(synthesis: () => unknown): readonly string[] {
  try {
    synthesis();
  } catch (error) {
    if (error instanceof ConstructSettingsError) return error.problems;
    throw error;
  }
  return [];
}
