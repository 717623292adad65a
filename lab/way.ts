import { join } from "node:path";
import type { ExternalExtension, LambdaFunction } from "./execution-environment";
import type { SynthesizedFunction } from "./synthesized-function";
import { stageUnbundled } from "./unbundled-code";

/** One way for a function to meet its Shutdown phase. */
export interface Way {
  readonly name: string;
  readonly lambdaFunction: LambdaFunction;
  readonly extensions: readonly ExternalExtension[];
}

const INSIGHTS_STAND_IN: ExternalExtension = {
  name: "insights-stand-in",
  command: [process.execPath, join(__dirname, "insights-stand-in.mjs")],
};

/** The synthesized function as it would be deployed: an Insights layer becomes the stand-in for Insights. */
export function thisFunction(lambdaFunction: SynthesizedFunction): Way {
  const insights = lambdaFunction.layers.some(
    (layer) => layer.includes("LambdaInsightsExtension") || layer.includes("insights"),
  );
  return { name: "this function", lambdaFunction, extensions: insights ? [INSIGHTS_STAND_IN] : [] };
}

/** The same code without anything that makes Lambda send SIGTERM. */
export function noExtension(lambdaFunction: LambdaFunction): Way {
  return { name: "no extension", lambdaFunction, extensions: [] };
}

/**
 * The article's handler in the same execution environment.
 *
 * @param directory an empty directory for its code and packages
 */
export function articlesWay(lambdaFunction: LambdaFunction, directory: string): Way {
  stageUnbundled(join(__dirname, "article"), directory, ["mysql2"]);
  return {
    name: "the article's way",
    lambdaFunction: { ...lambdaFunction, directory },
    extensions: [INSIGHTS_STAND_IN],
  };
}
