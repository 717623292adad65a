import { Fn, propertyAccess, TerraformLocal, Token, type IResolvable, type Precondition } from "cdktf";
import type { Construct } from "constructs";
import { ARCHITECTURES, type Architecture } from "../code/native-code";
import table from "./insights-layers.json";
import { isKnown, notOneOf, problem } from "../terraform/construct-settings-error";
import { optionProblems, required } from "../terraform/option-table";

const LAYER_NAMES: Record<Architecture, string> = {
  arm64: "LambdaInsightsExtension-Arm64",
  x86_64: "LambdaInsightsExtension",
};

/** What a function needs to use the layer. */
export interface InsightsLayerBinding {
  readonly arn: string;
  /** Conditions of the function: they fail the plan where the region is known too late to fail the synthesis. */
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
export class InsightsLayer {
  private constructor(private readonly choice: { readonly version?: string; readonly arn?: string }) {}

  /**
   * The newest version that `insights-layers.json` has for the region and the architecture. `source.read` in that file
   * is the day it is of; a newer layer is taken by its ARN, see `arn`.
   */
  public static latest(): InsightsLayer {
    return new InsightsLayer({});
  }

  /** One version of the extension, as `insights-layers.json` names it. */
  public static version(version: string): InsightsLayer {
    return new InsightsLayer({ version });
  }

  /** A layer version that `insights-layers.json` does not have: a newer one, or a copy in an account of yours. */
  public static arn(arn: string): InsightsLayer {
    return new InsightsLayer({ arn });
  }

  public problems(region: string, architecture: Architecture): string[] {
    const wrong = Object.entries(this.choice).flatMap(([name, value]) =>
      optionProblems({ [name]: value }, { [name]: required("text") }, "shutdownExtension.layer."),
    );
    if (wrong.length > 0 || !isKnown(architecture)) return wrong;
    if (this.choice.arn !== undefined) return otherArchitectureProblems(this.choice.arn, architecture);
    if (this.choice.version !== undefined) {
      const versions = new Set(Object.values(table.layers[architecture]).flatMap(Object.keys));
      if (!versions.has(this.choice.version)) {
        return [notOneOf("shutdownExtension", this.choice.version, [...versions].sort(byNumber))];
      }
    }
    if (!isKnown(region) || region in this.arns(architecture)) return [];
    const other = ARCHITECTURES.find((each) => region in this.arns(each));
    const hint = other === undefined ? "" : `; there ${other} has one`;
    const regions = Object.keys(this.arns(architecture)).sort().join(", ");
    return [problem("region", region, this.regionExpectation(architecture, hint, regions))];
  }

  /** For settings without problems. Terraform looks the layer up if it alone knows region or architecture. */
  public bind(scope: Construct, region: string, architecture: Architecture): InsightsLayerBinding {
    if (this.choice.arn !== undefined) return { arn: this.choice.arn, preconditions: [] };
    const known = ARCHITECTURES.filter((each) => !isKnown(architecture) || each === architecture);
    const tables = Object.fromEntries(known.map((each) => [each, this.arns(each)]));
    const arn = isKnown(architecture) ? tables[architecture]?.[region] : undefined;
    if (arn !== undefined) return { arn, preconditions: [] };
    const local = new TerraformLocal(scope, "insights-layer-arns", tables).expression as IResolvable;
    const arns = propertyAccess(local, [architecture]);
    const regions = Fn.join(", ", Token.asList(Fn.keys(arns)));
    return {
      arn: Token.asString(propertyAccess(local, [architecture, region])),
      preconditions: [
        {
          condition: Fn.contains(Fn.keys(arns), region) as IResolvable,
          errorMessage: problem("region", region, this.regionExpectation(architecture, "", regions)),
        },
      ],
    };
  }

  private regionExpectation(architecture: Architecture, hint: string, regions: string): string {
    const layer = this.choice.version === undefined ? "an Insights layer" : `Insights ${this.choice.version}`;
    return `is not one of ${regions}, the regions with ${layer} for ${architecture}${hint}`;
  }

  /** Region → ARN. */
  private arns(architecture: Architecture): Record<string, string> {
    const rows: Record<string, Record<string, number>> = table.layers[architecture];
    const regions: Record<string, { partition: string; account: string }> = table.regions;
    const arns: Record<string, string> = {};
    for (const [region, numbers] of Object.entries(rows)) {
      const number = this.choice.version === undefined ? Object.values(numbers).at(-1) : numbers[this.choice.version];
      const owner = regions[region];
      if (number === undefined || owner === undefined) continue;
      arns[region] =
        `arn:${owner.partition}:lambda:${region}:${owner.account}:layer:${LAYER_NAMES[architecture]}:${number}`;
    }
    return arns;
  }
}

/** With the layer of the other architecture, the extension does not start, and neither does the function. */
function otherArchitectureProblems(layerArn: string, architecture: Architecture): string[] {
  const other = ARCHITECTURES.find((each) => each !== architecture);
  if (other === undefined || layerArn.split(":")[6] !== LAYER_NAMES[other]) return [];
  return [
    problem("shutdownExtension", layerArn, `is for ${other}; ${architecture} needs ${LAYER_NAMES[architecture]}`),
  ];
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
