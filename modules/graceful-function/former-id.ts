import { Aspects, TerraformElement, TerraformResource, TerraformStack } from "cdktf";
import { Construct, type IConstruct } from "constructs";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

/**
 * Writes a `moved` block for every resource of a construct that had another id, also for those that are added later.
 *
 * @param formerId the id in the same scope, or the path in the stack with `/` in front
 * @throws ConstructSettingsError if it is the id that the construct has
 */
export function moveFromFormerId(owner: Construct, formerId: string): void {
  const ids = owner.node.scopes.slice(TerraformStack.of(owner).node.scopes.length).map(({ node }) => node.id);
  if ([owner.node.id, `/${ids.join("/")}`].includes(formerId)) {
    throw new ConstructSettingsError([problem("formerId", formerId, "is the present id. Remove it")], owner.node.path);
  }
  Aspects.of(owner).add({
    visit: (element: IConstruct) => {
      if (!TerraformResource.isTerraformResource(element) || element.hasResourceMove() !== undefined) return;
      const inner = element.node.scopes.slice(owner.node.scopes.length).map(({ node }) => node.id);
      element.moveFromId(`${element.terraformResourceType}.${formerName(owner, formerId, inner)}`);
    },
  });
}

/** CDKTF makes a resource's name of its path, so constructs with the former ids stand in the tree for a moment. */
function formerName(owner: Construct, formerId: string, inner: readonly string[]): string {
  const start: IConstruct = formerId.startsWith("/") ? TerraformStack.of(owner) : (owner.node.scope ?? owner.node.root);
  const ids = [...formerId.split("/").filter((id) => id !== ""), ...inner];
  let scope = start;
  let added: Construct | undefined;
  for (const id of ids.slice(0, -1)) {
    const existing = scope.node.tryFindChild(id);
    const next = existing ?? new Construct(scope, id);
    if (existing === undefined) added ??= next;
    scope = next;
  }
  const element = new TerraformElement(scope, ids.at(-1) ?? "");
  const name = element.friendlyUniqueId;
  const first = added ?? element;
  first.node.scope?.node.tryRemoveChild(first.node.id);
  return name;
}
