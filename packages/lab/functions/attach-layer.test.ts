import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attached, AttachError, attachLayer } from "./attach-layer";
import type { Subject } from "./subject";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "attach-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function subject(environment: Readonly<Record<string, string>> = {}): Subject {
  const lambdaFunction = { name: "f", directory: root, handler: "index.handler", memorySizeMb: 128, timeoutMs: 3_000 };
  return { name: "theirs", extensions: [], lambdaFunction: { ...lambdaFunction, environment, layerPaths: ["own"] } };
}

function build(path: string): string {
  const layer = join(root, path);
  mkdirSync(join(layer, "lambda-graceful-shutdown"), { recursive: true });
  writeFileSync(join(layer, "lambda-graceful-shutdown", "attach.mjs"), "");
  return layer;
}

test("the layer is that of the project, else that of the installed package", () => {
  const installed = build("node_modules/lambda-graceful-shutdown/layer");
  writeFileSync(join(root, "node_modules/lambda-graceful-shutdown/package.json"), "{}");
  expect(attachLayer(root)).toBe(installed);
  expect(attachLayer(root)).not.toBe(build("dist/layer"));
  expect(attachLayer(root)).toBe(join(root, "dist/layer"));
});

test("an attached function has the layer behind its own, the wrapper, and no external extension", () => {
  const { lambdaFunction, extensions } = attached(subject({ STAGE: "test" }), "/layer", {});
  expect(extensions).toEqual([]);
  expect(lambdaFunction.layerPaths).toEqual(["own", "/layer"]);
  expect(lambdaFunction.environment).toMatchObject({
    STAGE: "test",
    AWS_LAMBDA_EXEC_WRAPPER: "/opt/graceful-shutdown",
    SHUTDOWN_BUDGET_MS: "500",
  });
});

test.each([
  ["without a layer", {}, {}, undefined],
  ["with another wrapper of its own", { AWS_LAMBDA_EXEC_WRAPPER: "/opt/other" }, {}, "/layer"],
  ["with another wrapper of --env", {}, { AWS_LAMBDA_EXEC_WRAPPER: "/opt/other" }, "/layer"],
])("a function is not attached %s", (_, environment, env, layer) => {
  expect(() => attached(subject(environment), layer, env)).toThrow(AttachError);
});
