import { Token, TerraformOutput, TerraformStack } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import { createHash } from "node:crypto";
import { ConstructSettingsError } from "./construct-settings-error";

/** Ids that become part of a name unchanged. They have no `_`, which joins them, so one name means one path. */
const PLAIN_ID = /^[A-Za-z][A-Za-z0-9-]*$/;
/** What Terraform takes as a name, in characters that every file system takes as well. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** Characters of a name, with those of its file's extension and an output's suffix far below a file system's 255. */
const MAX_LENGTH = 128;

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
  if (Token.isUnresolved(path)) {
    throw new ConstructSettingsError(
      ["an id in this path is known to Terraform only. Names are made of it during the synthesis, so use a plain text"],
      owner.node.path,
    );
  }
  const name = ids.map((id) => id.replaceAll(/[^A-Za-z0-9_-]/g, "")).join("_");
  const isShort = name.length <= MAX_LENGTH;
  const isPlain = isShort && (ids.length === 1 ? PLAIN_NAME.test(path) : ids.every((id) => PLAIN_ID.test(id)));
  const hash = createHash("sha256").update(path).digest("hex").slice(0, 8);
  const hashed = `${/^[A-Za-z_]/.test(name) ? "" : "_"}${name.slice(0, MAX_LENGTH)}_${hash}`;

  const names = taken.get(stack) ?? new Map<string, string>();
  taken.set(stack, names);
  const candidates = [...(isPlain ? [name] : []), hashed].map((each) => each + (suffix && `_${suffix}`));
  const free = candidates.find((each) => (names.get(each.toLowerCase()) ?? path) === path);
  if (free === undefined) {
    throw new ConstructSettingsError(
      [`another construct has the name ${candidates.join(" or ")}. Use another id`],
      owner.node.path,
    );
  }
  names.set(free.toLowerCase(), path);
  return free;
}

/** An output under a name without a hash, so that scripts can rely on it: `function_arn` for the id "function". */
export function addOutput(
  owner: Construct,
  name: string,
  description: string,
  value: string | number | string[],
): void {
  const output = new TerraformOutput(owner, name, { description, value });
  output.overrideLogicalId(pathName(owner, name));
  const stack = TerraformStack.of(owner);
  const own = outputs.get(stack) ?? new Set();
  if (own.size === 0) stack.node.addValidation({ validate: () => sameNames(stack, own) });
  outputs.set(stack, own.add(output));
}

/** Stack → what `addOutput` has added to it. */
const outputs = new WeakMap<TerraformStack, Set<TerraformOutput>>();

/** CDKTF would merge two outputs of one name into one of both values. */
function sameNames(stack: TerraformStack, own: ReadonlySet<TerraformOutput>): string[] {
  const byName = new Map([...own].map((output) => [output.friendlyUniqueId, output]));
  return stack.node
    .findAll()
    .filter((each): each is TerraformOutput => TerraformOutput.isTerraformOutput(each) && !own.has(each))
    .flatMap(({ node, friendlyUniqueId: name }) => {
      const output = byName.get(name);
      return output ? [`${output.node.path}: ${node.path} has the same name, ${name}. Rename it`] : [];
    });
}
