import { App, TerraformStack } from "cdktf";
import { zipSync } from "fflate";
import { chmodSync, statSync } from "node:fs";
import path from "node:path";
import { ShutdownLayer } from "./shutdown-layer";
import { project } from "../__tests__/code-project";
import { jsonOf, newStack, only, temporaryDirectory, type Synthesized } from "../__tests__/synthesis";

function synthesize(content: string, stack = newStack()): Synthesized {
  new ShutdownLayer(stack, "layer", { content });
  return jsonOf(stack);
}

test("a directory becomes an archive, in which the wrapper alone can be run", () => {
  const outdir = temporaryDirectory();
  const directory = project({ "graceful-shutdown": "#!/bin/sh\n", "lambda-graceful-shutdown/attach.mjs": "" });
  chmodSync(path.join(directory, "lambda-graceful-shutdown/attach.mjs"), 0o777);
  const app = new App({ outdir, skipValidation: true });
  const stack = new TerraformStack(app, "test");
  const { resource, data, output } = synthesize(directory, stack);
  const [zip] = Object.keys(data.archive_file ?? {});
  expect(only(resource, "aws_lambda_layer_version")).toMatchObject({
    layer_name: "graceful-shutdown",
    filename: `\${data.archive_file.${zip}.output_path}`,
    source_code_hash: `\${data.archive_file.${zip}.output_base64sha256}`,
    lifecycle: { create_before_destroy: true },
  });
  expect(output.layer_arn?.value).toMatch(/^\$\{aws_lambda_layer_version\.\w+\.arn\}$/);
  app.synth();
  const source = String(only(data, "archive_file").source_dir).replace("${path.module}", "stacks/test");
  const staged = path.join(outdir, source);
  const mode = (file: string): number => statSync(path.join(staged, file)).mode & 0o777;
  expect([mode("graceful-shutdown"), mode("lambda-graceful-shutdown/attach.mjs")]).toEqual([0o755, 0o644]);
});

test("a zip is deployed as it is", () => {
  const zip = Buffer.from(zipSync({ "graceful-shutdown": Buffer.from("#!/bin/sh\n") }));
  const { resource, data } = synthesize(path.join(project({ "layer.zip": zip }), "layer.zip"));
  expect(data).toBeUndefined();
  expect(only(resource, "aws_lambda_layer_version")).toMatchObject({
    filename: expect.stringMatching(/^\$\{path\.module\}\/assets\/.*layer\.zip$/) as string,
    source_code_hash: expect.stringMatching(/^[\w+/]{43}=$/) as string,
  });
});

test.each([
  [
    () => "dist/no-layer",
    'content "dist/no-layer" does not exist. Run npm run layer, which writes dist/layer and dist/layer.zip',
  ],
  [temporaryDirectory, "has no file lambda-graceful-shutdown/attach.mjs. Run npm run"],
  [() => path.join(project({ layer: "text" }), "layer"), "is neither a directory nor a zip"],
])("content that is missing is refused with the command that writes it: %#", (content, expected) => {
  expect(() => synthesize(content())).toThrow(/^test\/layer: content /);
  expect(() => synthesize(content())).toThrow(expected);
});
