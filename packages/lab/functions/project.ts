import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Ajv from "ajv";
import schema from "../lab.config.schema.json";

/** The events that make a function run a statement. */
export interface Events {
  /** The statement is done at once. */
  readonly quick: unknown;
  /** The statement takes 30 seconds. @default - none, and what needs one is left out */
  readonly slow?: unknown;
}

/** The project around the current directory cannot be used as it is. */
export class ProjectError extends Error {
  override readonly name = "ProjectError";
}

/** A project that the lab works for: where it is, and what its lab.config.json says. */
export interface Project {
  readonly root: string;
  /** @default - the one stack that has a function */
  readonly stack?: string;
  readonly events: Events;
  /** Path of the handler for the fault table. @default - the project has none */
  readonly faultHandler?: string;
}

interface LabConfig {
  readonly stack?: string;
  readonly events?: { readonly quick?: unknown; readonly slow?: unknown };
  readonly faultHandler?: string;
}

const CONFIG = "lab.config.json";
const MARKS = [CONFIG, "cdktf.json"];

/**
 * The project around a directory: the nearest folder, from there upwards, with a lab.config.json or a cdktf.json. Without
 * either, the directory itself is a project with the defaults.
 *
 * @throws ProjectError naming each field of lab.config.json that is wrong
 */
export function findProject(directory = process.cwd()): Project {
  const root = above(directory).find((each) => MARKS.some((mark) => existsSync(join(each, mark)))) ?? directory;
  const { stack, events, faultHandler } = readConfig(join(root, CONFIG));
  return {
    root,
    ...(stack === undefined ? {} : { stack }),
    events: { quick: {}, ...events },
    ...(faultHandler === undefined ? {} : { faultHandler: join(root, faultHandler) }),
  };
}

function above(directory: string): readonly string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [directory, ...above(parent)];
}

function readConfig(file: string): LabConfig {
  if (!existsSync(file)) return {};
  let config: unknown;
  try {
    config = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ProjectError(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const ajv = new Ajv({ allErrors: true });
  const isValid = ajv.compile<LabConfig>(schema);
  if (isValid(config)) return config;
  const problems = (isValid.errors ?? []).map(({ instancePath, message, params }) => {
    const field = instancePath.slice(1).replaceAll("/", ".");
    const unknown = (params as { readonly additionalProperty?: string }).additionalProperty;
    const allowed = unknown === undefined ? "" : `: "${unknown}"`;
    return `${field === "" ? "the file" : field} ${message ?? "is wrong"}${allowed}`;
  });
  throw new ProjectError(`${file} does not match lab.config.schema.json: ${problems.join("; ")}`);
}
