import { Fn, propertyAccess, TerraformLocal, Token, type IResolvable, type Precondition } from "cdktf";
import type { Construct } from "constructs";
import table from "./insights-layers.json";
import { notOneOf, problem, SettingsError } from "./settings-error";

export const ARCHITECTURES = ["arm64", "x86_64"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

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
 * The CloudWatch Lambda Insights layer. What matters here is that it holds an external extension: with one registered,
 * Lambda sends SIGTERM before it takes the execution environment away, and not only SIGKILL.
 *
 * The layer's account and number differ from region to region, so a choice is resolved when region and architecture
 * are known.
 *
 * @example InsightsLayer.version("1.0.404.0")
 */
export abstract class InsightsLayer {
  /** The newest version that `insights-layers.json` has for the region and the architecture. */
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
    const problems: string[] = [];
    const known = isArchitecture(architecture) ? [architecture] : [...ARCHITECTURES];
    if (!isArchitecture(architecture)) problems.push(notOneOf("architecture", architecture, ARCHITECTURES));

    if (this.version !== undefined) {
      const versions = new Set(known.flatMap((each) => Object.values(table.layers[each]).flatMap(Object.keys)));
      if (!versions.has(this.version)) {
        return [...problems, notOneOf("insightsLayer", this.version, [...versions].sort(byNumber))];
      }
    }

    const regions = [...new Set(known.flatMap((each) => Object.keys(this.arns(each))))].sort();
    if (!Token.isUnresolved(region) && !regions.includes(region)) {
      const other = ARCHITECTURES.find((each) => region in this.arns(each));
      problems.push(this.regionProblem(region, regions, known, other && `; ${other} has it there`));
    }
    return problems;
  }

  public bind(scope: Construct, region: string, architecture: Architecture): InsightsLayerBinding {
    SettingsError.throwIfAny(this.problems(region, architecture));
    const arns = this.arns(architecture);
    const arn = arns[region];
    if (arn !== undefined) return { arn, preconditions: [] };

    const map = new TerraformLocal(scope, "insights-layer-arns", arns).expression as IResolvable;
    return {
      arn: Token.asString(propertyAccess(map, [region])),
      preconditions: [
        {
          condition: Fn.contains(Fn.keys(map), region) as IResolvable,
          errorMessage: this.regionProblem(region, Object.keys(arns), [architecture]),
        },
      ],
    };
  }

  private regionProblem(region: string, regions: string[], architectures: string[], hint = ""): string {
    const layer = this.version === undefined ? "an Insights layer" : `Insights ${this.version}`;
    return problem(
      "region",
      region,
      `is not one of ${regions.join(", ")}, the regions with ${layer} for ${architectures.join(" or ")}${hint}`,
    );
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
    const problems: string[] = [];
    if (!isArchitecture(architecture) && !Token.isUnresolved(architecture)) {
      problems.push(notOneOf("architecture", architecture, ARCHITECTURES));
    }
    if (Token.isUnresolved(this.value)) return problems;

    const parts = /^arn:aws[a-z-]*:lambda:([a-z0-9-]+):\d{12}:layer:([\w-]+):\d+$/.exec(this.value);
    if (!parts) {
      const form = "arn:<partition>:lambda:<region>:<account>:layer:<name>:<number>";
      return [...problems, problem("insightsLayer", this.value, `is not of the form ${form}`)];
    }
    const [, layerRegion, name] = parts;
    if (!Token.isUnresolved(region) && layerRegion !== region) {
      problems.push(problem("insightsLayer", this.value, `is not in the function's region, ${region}`));
    }
    // A copy may bear any name; of AWS's own two names one is wrong, and the function would not start with it.
    const wrong = ARCHITECTURES.find((other) => LAYER_NAMES[other] === name && other !== architecture);
    if (wrong !== undefined && isArchitecture(architecture)) {
      problems.push(
        problem("insightsLayer", this.value, `is for ${wrong}; ${architecture} needs ${LAYER_NAMES[architecture]}`),
      );
    }
    return problems;
  }

  public bind(_scope: Construct, region: string, architecture: Architecture): InsightsLayerBinding {
    SettingsError.throwIfAny(this.problems(region, architecture));
    return { arn: this.value, preconditions: [] };
  }
}

function isArchitecture(value: string): value is Architecture {
  return ARCHITECTURES.some((each) => each === value);
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
