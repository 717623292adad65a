import { Fn, propertyAccess, TerraformLocal, Token, type IResolvable, type Precondition } from "cdktf";
import type { Construct } from "constructs";
import { ARCHITECTURES, type Architecture } from "./architecture";
import table from "./insights-layers.json";
import { layerVersionProblems } from "./layer-version";
import { choiceProblems, isKnown, notOneOf, problem, SettingsError } from "../terraform/settings-error";
import { terraformText } from "../terraform/terraform-text";

const LAYER_NAMES: Record<Architecture, string> = {
  arm64: "LambdaInsightsExtension-Arm64",
  x86_64: "LambdaInsightsExtension",
};

/** What a function needs in order to use the layer. */
export interface InsightsLayerBinding {
  readonly arn: string;
  /**
   * Conditions of the function: they fail the plan where the region is known too late to fail the synthesis. What
   * `cdktf synth --hcl` makes of a condition is not valid HCL (cdktf 0.21); the JSON, which is deployed, is right.
   */
  readonly preconditions: Precondition[];
}

/**
 * The CloudWatch Lambda Insights layer. It contains an external extension. With an extension registered, Lambda sends
 * SIGTERM before it removes the execution environment, and not only SIGKILL.
 *
 * The layer's account and number differ from region to region, so a choice is resolved when region and architecture
 * are known.
 *
 * @example InsightsLayer.version("1.0.404.0")
 */
export abstract class InsightsLayer {
  /**
   * The newest version that `insights-layers.json` has for the region and the architecture. `source.read` in that file
   * is the day it is of; a newer layer is taken by its ARN, see `arn`.
   */
  public static latest(): InsightsLayer {
    return new ListedLayer();
  }

  /** One version of the extension, as `insights-layers.json` names it. */
  public static version(version: string): InsightsLayer {
    return new ListedLayer(version);
  }

  /** A layer version that `insights-layers.json` does not have: a newer one, or a copy in an account of yours. */
  public static arn(arn: string): InsightsLayer {
    return new GivenLayer(arn);
  }

  /** What is wrong with this layer in that place; empty if nothing is. */
  public abstract problems(region: string, architecture: string): string[];

  /** @throws SettingsError if there is a problem. */
  public abstract bind(scope: Construct, region: string, architecture: Architecture): InsightsLayerBinding;
}

class ListedLayer extends InsightsLayer {
  public constructor(private readonly version?: string) {
    super();
  }

  public problems(region: string, architecture: string): string[] {
    const problems = architectureProblems(architecture);
    const possible = isArchitecture(architecture) ? [architecture] : ARCHITECTURES;

    if (this.version !== undefined) {
      const versions = new Set(possible.flatMap((each) => Object.values(table.layers[each]).flatMap(Object.keys)));
      if (!versions.has(this.version)) {
        return [...problems, notOneOf("shutdownExtension", this.version, [...versions].sort(byNumber))];
      }
    }

    const regions = [...new Set(possible.flatMap((each) => Object.keys(this.arns(each))))].sort();
    if (isKnown(region) && !regions.includes(region)) {
      const other = ARCHITECTURES.find((each) => region in this.arns(each));
      const hint = other && `; there ${other} has one`;
      problems.push(problem("region", region, this.regionExpectation(regions.join(", "), possible.join(" or "), hint)));
    }
    return problems;
  }

  public bind(scope: Construct, region: string, architecture: Architecture): InsightsLayerBinding {
    SettingsError.throwIfAny(this.problems(region, architecture));
    if (!isKnown(architecture)) return this.bindLate(scope, region, architecture);

    const arns = this.arns(architecture);
    const arn = arns[region];
    if (arn !== undefined) return { arn, preconditions: [] };

    const map = new TerraformLocal(scope, "insights-layer-arns", arns).expression as IResolvable;
    return {
      arn: Token.asString(propertyAccess(map, [region])),
      preconditions: [
        {
          condition: Fn.contains(Fn.keys(map), region) as IResolvable,
          errorMessage: problem("region", region, this.regionExpectation(Object.keys(arns).join(", "), architecture)),
        },
      ],
    };
  }

  /**
   * For an architecture that only Terraform knows: a map of maps. The error message cannot name the construct's path.
   */
  private bindLate(scope: Construct, region: string, architecture: string): InsightsLayerBinding {
    const arns = Object.fromEntries(ARCHITECTURES.map((each) => [each, this.arns(each)]));
    const map = new TerraformLocal(scope, "insights-layer-arns", arns).expression as IResolvable;
    const regions = Token.asList(Fn.keys(propertyAccess(map, [architecture])));
    return {
      arn: Token.asString(propertyAccess(map, [architecture, region])),
      preconditions: [
        {
          condition: Fn.contains(Fn.keys(map), architecture) as IResolvable,
          errorMessage: `architecture "${architecture}" is not one of ${ARCHITECTURES.join(", ")}`,
        },
        {
          // Without try, Terraform would also report "Invalid index" for an unknown architecture.
          condition: Fn.try([Fn.contains(regions, region), true]) as IResolvable,
          errorMessage: `region "${region}" ${this.regionExpectation(Token.asString(Fn.join(", ", Token.asList(Fn.try([regions, []])))), architecture)}`,
        },
      ],
    };
  }

  private regionExpectation(regions: string, architectures: string, hint = ""): string {
    const layer = this.version === undefined ? "an Insights layer" : `Insights ${this.version}`;
    return `is not one of ${regions}, the regions with ${layer} for ${architectures}${hint}`;
  }

  /** Region → ARN. */
  private arns(architecture: Architecture): Record<string, string> {
    const rows: Record<string, Record<string, number>> = table.layers[architecture];
    const regions: Record<string, { partition: string; account: string }> = table.regions;
    const arns: Record<string, string> = {};
    for (const [region, numbers] of Object.entries(rows)) {
      const number = this.version === undefined ? Object.values(numbers).at(-1) : numbers[this.version];
      const owner = regions[region];
      if (number === undefined || owner === undefined) continue;
      arns[region] =
        `arn:${owner.partition}:lambda:${region}:${owner.account}:layer:${LAYER_NAMES[architecture]}:${number}`;
    }
    return arns;
  }
}

class GivenLayer extends InsightsLayer {
  public constructor(private readonly value: string) {
    super();
  }

  public problems(region: string, architecture: string): string[] {
    const problems = architectureProblems(architecture);
    return [
      ...problems,
      ...layerVersionProblems("shutdownExtension", this.value, region, architecture as Architecture),
    ];
  }

  public bind(_scope: Construct, region: string, architecture: Architecture): InsightsLayerBinding {
    SettingsError.throwIfAny(this.problems(region, architecture));
    return { arn: terraformText(this.value), preconditions: [] };
  }
}

function architectureProblems(architecture: string): string[] {
  return choiceProblems<string>("architecture", architecture, ARCHITECTURES);
}

function isArchitecture(value: string): value is Architecture {
  return ARCHITECTURES.some((each) => each === value);
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
