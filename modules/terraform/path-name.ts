import { TerraformOutput, TerraformStack } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import { createHash } from "node:crypto";
import { isKnown, problem, SettingsError } from "./settings-error";

/** Ids that become part of a name unchanged. They have no `_`, which joins them, so one name means one path. */
const PLAIN_ID = /^[A-Za-z][A-Za-z0-9-]*$/;
/** What Terraform takes as a name, in characters that every file system takes as well. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** Characters of a name, with those of its file's extension and an output's suffix far below a file system's 255. */
const MAX_LENGTH = 128;

/** Stack → what names a thing at AWS → path of the construct that makes it. */
const claimed = new WeakMap<TerraformStack, Map<string, string>>();

/** Stack → name in small letters → path: file systems that ignore case would merge `Orders.zip` and `orders.zip`. */
const taken = new WeakMap<TerraformStack, Map<string, string>>();

/**
 * A name that is unique in the stack, made of the construct's path: `function` for a construct of that id in the
 * stack, `orders_function` for one in the construct `orders`. If a path gives no unique name, a hash follows.
 *
 * @param suffix the part of the construct that it names, such as `arn`
 */
export function pathName(owner: IConstruct, suffix = ""): string {
  const stack = TerraformStack.of(owner);
  const ids = owner.node.scopes.slice(stack.node.scopes.length).map(({ node }) => node.id);
  const path = ids.join("/");
  if (!isKnown(path)) {
    throw new SettingsError(
      ["an id in this path is known to Terraform only. Names are made of it during the synthesis, so use a plain text"],
      owner.node.path,
    );
  }
  const name = ids.map((id) => id.replaceAll(/[^A-Za-z0-9_-]/g, "")).join("_");
  const isShort = name.length <= MAX_LENGTH;
  const isPlain = isShort && (ids.length === 1 ? PLAIN_NAME.test(path) : ids.every((id) => PLAIN_ID.test(id)));
  const hashed = `${/^[A-Za-z_]/.test(name) ? "" : "_"}${name.slice(0, MAX_LENGTH)}_${hash(path)}`;

  const names = taken.get(stack) ?? new Map<string, string>();
  taken.set(stack, names);
  const candidates = [...(isPlain ? [name] : []), hashed].map((each) => each + (suffix && `_${suffix}`));
  const free = candidates.find((each) => (names.get(each.toLowerCase()) ?? path) === path);
  if (free === undefined)
    throw new Error(`${owner.node.path}: another construct has the name ${candidates.join()}. Use another id`);
  names.set(free.toLowerCase(), path);
  return free;
}

/**
 * What is wrong with the ids of a construct's path: nothing if CDKTF's names of its resources are names for Terraform,
 * and no other construct's. CDKTF leaves out what Terraform does not take, but does not look at the first character
 * that is left, and it leaves out the id "Default".
 */
export function idProblems(owner: IConstruct): string[] {
  const ids = owner.node.scopes.slice(TerraformStack.of(owner).node.scopes.length).map(({ node }) => node.id);
  const named = ids.filter((id) => id !== "Default");
  const first = named.find((id) => isKnown(id) && /[A-Za-z0-9_-]/.test(id));
  return first !== undefined && /^[^A-Za-z_]*[0-9-]/.test(first)
    ? [problem("id", first, "would begin a name in Terraform. Names begin with a letter or _, so use another id")]
    : claimProblems(owner, "id", named.join("/"), []);
}

/**
 * What is wrong with a name that must be unique in AWS. Empty unless another construct of the stack creates the same
 * thing.
 *
 * @param place what else distinguishes two things of that name, such as the region
 */
export function claimProblems(owner: IConstruct, setting: string, name: string, place: readonly string[]): string[] {
  if (!isKnown(name)) return [];
  const stack = TerraformStack.of(owner);
  const claims = claimed.get(stack) ?? new Map<string, string>();
  claimed.set(stack, claims);
  const key = JSON.stringify([owner.constructor.name, name, ...place]);
  const other = claims.get(key);
  if (other === undefined) claims.set(key, owner.node.path);
  return other === undefined || other === owner.node.path
    ? []
    : [problem(setting, name, `is also the one of ${other}. Only one of the two can exist, so set another`)];
}

function hash(path: string): string {
  return createHash("sha256").update(path).digest("hex").slice(0, 8);
}

/** An output under a name without a hash, so that scripts can rely on it: `function_arn` for the id "function". */
export function addOutput(
  owner: Construct,
  name: string,
  description: string,
  value: string | number | string[],
): void {
  const output = new TerraformOutput(owner, name, { description, value });
  const outputName = pathName(owner, name);
  output.overrideLogicalId(outputName);
  output.node.addValidation({
    // CDKTF would merge two outputs of one name into one of both values.
    validate: () =>
      TerraformStack.of(owner)
        .node.findAll()
        .filter((each) => TerraformOutput.isTerraformOutput(each))
        .filter((each) => each !== output && each.friendlyUniqueId === outputName)
        .map(({ node }) => `${output.node.path}: ${node.path} has the same name, ${outputName}. Rename it`),
  });
}
