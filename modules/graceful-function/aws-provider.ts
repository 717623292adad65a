import { DataAwsServicePrincipal } from "@cdktf/provider-aws/lib/data-aws-service-principal";
import {
  Aspects,
  DefaultTokenResolver,
  Op,
  StringConcat,
  TerraformProvider,
  TerraformStack,
  Tokenization,
  type Precondition,
  type TerraformDataSource,
  type TerraformResource,
} from "cdktf";
import type { Construct, IConstruct } from "constructs";
import { isKnown, problem } from "../terraform/construct-settings-error";

/** Sets the provider of every AWS resource of a construct, also of those that are added later. */
export function useProvider(owner: IConstruct, provider: TerraformProvider): void {
  Aspects.of(owner).add({
    visit: (element: IConstruct) => {
      const resource = element as Partial<TerraformResource | TerraformDataSource>;
      if (resource.terraformResourceType?.startsWith("aws_") === true) resource.provider ??= provider;
    },
  });
}

/**
 * What is wrong with a region. ARNs and names contain it, so it must be the provider's. Checks again when the app is
 * synthesized, because a provider may be created after the construct.
 */
export function regionProblems(owner: Construct, region: string, provider?: TerraformProvider): string[] {
  owner.node.addValidation({
    validate: () => difference(owner, region, provider).map((each) => `${owner.node.path}: ${each}`),
  });
  return difference(owner, region, provider);
}

function difference(owner: IConstruct, region: string, given?: TerraformProvider): string[] {
  const provider = given ?? defaultProvider(owner);
  const actual = provider && regionOf(provider);
  if (provider === undefined || actual === undefined || ![region, actual].every(isKnown) || region === actual)
    return [];
  return [
    problem(
      "region",
      region,
      `differs from "${actual}", the region of the AWS provider ${provider.node.path}. Set both to one region`,
    ),
  ];
}

/**
 * The same check for Terraform, if only Terraform knows the provider's region or the provider takes it from its
 * environment.
 */
export function regionPreconditions(owner: Construct, region: string, given?: TerraformProvider): Precondition[] {
  const provider = given ?? defaultProvider(owner);
  const actual = provider && regionOf(provider);
  if (actual !== undefined && resolved(owner, actual) === resolved(owner, region)) return [];
  // Versions 5 and 6 of the provider both have this `region`. Of aws_region they have no attribute in common.
  const { region: used } = new DataAwsServicePrincipal(owner, "region", { serviceName: "lambda" });
  return [
    {
      condition: Op.eq(used, region),
      errorMessage: `region "${region}" differs from "${used}", the region of the AWS provider. Set both to one region.`,
    },
  ];
}

function resolved(scope: IConstruct, value: string): unknown {
  const resolver = new DefaultTokenResolver(new StringConcat());
  return Tokenization.resolve(value, { scope, resolver, preparing: false });
}

/** Of each stack: the search looks at the whole stack. */
const defaultProviders = new WeakMap<TerraformStack, TerraformProvider>();

function defaultProvider(owner: IConstruct): TerraformProvider | undefined {
  const stack = TerraformStack.of(owner);
  const known = defaultProviders.get(stack);
  if (known) return known;
  const found = stack.node
    .findAll()
    .find(
      (each): each is TerraformProvider =>
        each instanceof TerraformProvider && each.terraformResourceType === "aws" && each.alias === undefined,
    );
  if (found) defaultProviders.set(stack, found);
  return found;
}

function regionOf(provider: TerraformProvider): string | undefined {
  return "region" in provider && typeof provider.region === "string" ? provider.region : undefined;
}
