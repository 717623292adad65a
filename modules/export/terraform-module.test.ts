import { App } from "cdktf";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { hclBlocks, type Json } from "./hcl";
import type { GracefulFunctionConfig } from "../graceful-function/graceful-function";
import { TerraformModule } from "./terraform-module";
import { only, temporaryDirectory, type Synthesized } from "../__tests__/synthesis";

/** The beginning of a program for Linux on x86-64. */
const ELF = Buffer.concat([Buffer.from("\u007fELF"), Buffer.alloc(14), Buffer.from([0x3e, 0])]);

function project(): string {
  const root = temporaryDirectory();
  const files = {
    "index.ts": "export const handler = async () => 1;",
    "data/rates.json": "{}",
    "bin/tool": ELF,
    "plain/index.mjs": "export const handler = 1;",
    "native/index.mjs": "export const handler = 1;",
    "native/tool": ELF,
    "node_modules/a/package.json": "{}",
    "node_modules/a/index.js": "",
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), content);
  }
  chmodSync(path.join(root, "bin/tool"), 0o755);
  return root;
}

function synthesize(code: GracefulFunctionConfig["code"]): Synthesized {
  const outdir = temporaryDirectory();
  const app = new App({ outdir });
  new TerraformModule(app, "module", {
    region: "us-east-1",
    functionName: "orders",
    architecture: "x86_64",
    code,
  });
  app.synth();
  return JSON.parse(readFileSync(path.join(outdir, "stacks/module/cdk.tf.json"), "utf8")) as Synthesized;
}

interface Variables {
  readonly variable: { readonly architecture: Readonly<Record<string, Json>> };
}

function architectureOf(synthesized: Synthesized): {
  deployed: unknown;
  variable: Variables["variable"]["architecture"];
} {
  const { variable } = synthesized as unknown as Variables;
  const { architectures } = only(synthesized.resource, "aws_lambda_function");
  return { deployed: (architectures as unknown[])[0], variable: variable.architecture };
}

type MakeCode = (root: string) => GracefulFunctionConfig["code"];

const bundle = (root: string) => ({ entry: path.join(root, "index.ts"), typeCheck: false });
const directory = (root: string, name: string) => ({ directory: path.join(root, name), handler: "index.handler" });

test.each<[string, MakeCode]>([
  ["a bundle", bundle],
  ["a bundle with data", (root) => ({ ...bundle(root), copy: [{ from: path.join(root, "data") }] })],
  ["a directory", (root) => directory(root, "plain")],
])("users of the module choose the architecture of %s", (_, code) => {
  const { deployed, variable } = architectureOf(synthesize(code(project())));
  expect(deployed).toBe("${var.architecture}");
  expect(variable).not.toHaveProperty("validation");
});

test.each<[string, MakeCode]>([
  ["installed packages", (root) => ({ ...bundle(root), install: ["a"] })],
  ["a loader for native code", (root) => ({ ...bundle(root), loader: { ".node": "copy" } })],
  ["a copied program", (root) => ({ ...bundle(root), copy: [{ from: path.join(root, "bin") }] })],
  ["a directory with native code", (root) => directory(root, "native")],
])("the module has the architecture of main.ts, and refuses another, with %s", (_, code) => {
  const { deployed, variable } = architectureOf(synthesize(code(project())));
  expect(deployed).toBe("x86_64");
  expect(variable).toMatchObject({ default: "x86_64" });
  const [hcl] = hclBlocks("variable", { architecture: variable });
  expect(hcl).toContain('condition     = (var.architecture == "x86_64")');
  expect(hcl).toContain("validation {");
});
