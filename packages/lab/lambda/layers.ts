import { cpSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { temporaryDirectory } from "../processes/reaper";
import type { ExternalExtension } from "./lambda-function";
import { checkMountNamespace, withOpt } from "./mount-namespace";
import { unzip } from "./unzip";

/** https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html */
const MAX_LAYERS = 5;
const OPT = "/opt";

/** The content of a function's layers, as the function finds it at /opt. */
export interface Layers {
  /** The programs in /opt/extensions. */
  readonly extensions: readonly ExternalExtension[];
  /** The same command in a mount namespace where /opt has this content. */
  inside(command: readonly string[]): readonly string[];
  /** Puts the content into a directory, for a mount namespace of another's. */
  copyTo(directory: string): void;
}

/** A function's layers cannot be used here. */
export class LayerError extends Error {
  override readonly name = "LayerError";
  readonly code = "ERR_LAB_LAYER";
}

/** Merged once for all environments of a function; the reaper removes them with the lab. */
const merged = new Map<string, Layers>();

/**
 * Layers in their order: a file of a later one replaces that of an earlier one.
 *
 * @param paths directories or zips with what is to be at /opt
 * @param directory of the function's code
 * @throws LayerError if they cannot be read, or if this machine cannot replace /opt
 */
export function layersOf(paths: readonly string[], directory: string): Layers {
  const key = JSON.stringify(paths);
  const layers = merged.get(key) ?? merge(paths);
  merged.set(key, layers);
  if (`${realpathSync(directory)}${sep}`.startsWith(OPT + sep)) {
    throw new LayerError(`the function's code is in ${directory}, where the layers go: move it out of ${OPT}`);
  }
  return layers;
}

function merge(paths: readonly string[]): Layers {
  if (paths.length > MAX_LAYERS) {
    throw new LayerError(`${paths.length} layers: a function has ${MAX_LAYERS} at most`);
  }
  try {
    checkMountNamespace("layers are at");
  } catch (error) {
    throw new LayerError((error as Error).message);
  }
  const { path: parent } = temporaryDirectory();
  const opt = join(parent, "opt");
  mkdirSync(opt);
  for (const path of paths) add(path, opt);
  return {
    extensions: extensionsIn(join(opt, "extensions")).map((name) => {
      return { name, command: withOpt(parent, [`${OPT}/extensions/${name}`]) };
    }),
    inside: (command) => withOpt(parent, command),
    copyTo: (target) => {
      cpSync(opt, target, { recursive: true, verbatimSymlinks: true });
    },
  };
}

function add(path: string, opt: string): void {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind === undefined) throw new LayerError(`layer "${path}" does not exist`);
  if (kind.isDirectory()) {
    cpSync(path, opt, { recursive: true, verbatimSymlinks: true });
    return;
  }
  try {
    unzip(path, opt);
  } catch (error) {
    throw new LayerError(`layer "${path}" is neither a directory nor a zip to deploy: ${(error as Error).message}`);
  }
}

/** Lambda starts each file, whether it is executable or not. */
function extensionsIn(directory: string): readonly string[] {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(directory)
    .filter((name) => !statSync(join(directory, name)).isDirectory())
    .sort();
}

/**
 * What Lambda adds to a runtime's variables for the sake of layers.
 * https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
 *
 * @param runtime as Lambda names it
 * @param programs the directory of the runtime's interpreter, which is on the PATH in Lambda
 */
export function layerVariables(runtime: string, path: string, programs: string): Readonly<Record<string, string>> {
  const [, node] = /^nodejs(\d+)\.x$/.exec(runtime) ?? [];
  return {
    PATH: [programs, path, `${OPT}/bin`].filter(Boolean).join(":"),
    LD_LIBRARY_PATH: `${OPT}/lib`,
    ...(node === undefined ? {} : { NODE_PATH: `${OPT}/nodejs/node${node}/node_modules:${OPT}/nodejs/node_modules` }),
    ...(runtime.startsWith("python") ? { PYTHONPATH: `${OPT}/python/lib/${runtime}/site-packages:${OPT}/python` } : {}),
  };
}
