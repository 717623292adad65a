import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { withExtension, type Subject } from "./subject";

/** What the layer's wrapper is called, as `npm run layer` writes it. */
const WRAPPER = "/opt/graceful-shutdown";
const WRAPPER_VARIABLE = "AWS_LAMBDA_EXEC_WRAPPER";
const PACKAGE = "lambda-graceful-shutdown";

/** The layer that attaches the shutdown to a function cannot be used. */
export class AttachError extends Error {
  override readonly name = "AttachError";
  readonly code = "ERR_LAB_ATTACH";
}

/**
 * The content of the layer of lambda-graceful-shutdown: of a project that has built it, or of the installed package.
 *
 * @param root the project's directory
 */
export function attachLayer(root: string): string | undefined {
  const built = join(root, "dist", "layer");
  const installed = (): readonly string[] => {
    try {
      return [join(dirname(createRequire(join(root, "package.json")).resolve(`${PACKAGE}/package.json`)), "layer")];
    } catch {
      return []; // it is not installed
    }
  };
  return [built, ...installed()].find((directory) => existsSync(join(directory, PACKAGE, "attach.mjs")));
}

/**
 * The same function with that layer, which registers the extension itself.
 *
 * @param layer from {@link attachLayer}
 * @param env what the function gets beside its own variables
 * @throws AttachError if the layer is not there, or the function's exec wrapper is another
 */
export function attached(subject: Subject, layer: string | undefined, env: Readonly<Record<string, string>>): Subject {
  if (layer === undefined) throw noLayer();
  const { lambdaFunction, ...others } = withExtension(subject, "internal");
  const taken = { ...lambdaFunction.environment, ...env }[WRAPPER_VARIABLE];
  if (taken !== undefined && taken !== WRAPPER) {
    throw new AttachError(
      `--attach: ${WRAPPER_VARIABLE} is "${taken}", and a function has one wrapper; leave out --attach or that variable`,
    );
  }
  return {
    ...others,
    lambdaFunction: {
      ...lambdaFunction,
      environment: { ...lambdaFunction.environment, [WRAPPER_VARIABLE]: WRAPPER },
      layerPaths: [...(lambdaFunction.layerPaths ?? []), layer],
    },
  };
}

/** A Web Function has no layers: the preload is in its package. The lab takes it from the layer's content. */
export function attachedWebFunction(subject: Subject, layer: string | undefined): Subject {
  if (layer === undefined) throw noLayer();
  const { name, variables, lambdaFunction } = subject;
  const preload = `--import=${join(layer, PACKAGE, "attach.mjs")}`;
  return {
    ...subject,
    name: `${name}, attached`,
    variables: (login, tcp) => {
      const own = variables?.(login, tcp) ?? lambdaFunction.environment;
      return { ...own, NODE_OPTIONS: [own["NODE_OPTIONS"], preload].filter(Boolean).join(" ") };
    },
  };
}

function noLayer(): AttachError {
  return new AttachError(
    `--attach: no layer in dist/layer of the project, nor in an installed ${PACKAGE}; build it with npm run layer, or name it with --layer <directory>`,
  );
}
