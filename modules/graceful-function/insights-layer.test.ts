import { TerraformVariable } from "cdktf";
import { ARCHITECTURES } from "../code/native-code";
import { InsightsLayer } from "./insights-layer";
import table from "./insights-layers.json";
import { newStack } from "../__tests__/synthesis";

const pairs = ARCHITECTURES.flatMap((architecture) =>
  Object.keys(table.regions).map((region) => ({
    architecture,
    region,
    supported: region in table.layers[architecture],
  })),
);

function arn(layer: InsightsLayer, region: string, architecture: "arm64" | "x86_64"): string {
  return layer.bind(newStack(), region, architecture).arn;
}

describe("the newest layer", () => {
  test.each(pairs.filter(({ supported }) => supported))("of $region $architecture", ({ region, architecture }) => {
    const name = architecture === "arm64" ? "LambdaInsightsExtension-Arm64" : "LambdaInsightsExtension";
    expect(arn(InsightsLayer.latest(), region, architecture)).toMatch(
      new RegExp(`^arn:aws(-cn|-us-gov)?:lambda:${region}:\\d{12}:layer:${name}:\\d+$`),
    );
  });

  test.each(pairs.filter(({ supported }) => !supported))(
    "is refused for $region $architecture, where there is none",
    ({ region, architecture }) => {
      expect(InsightsLayer.latest().problems(region, architecture).join()).toMatch(
        new RegExp(
          `^region "${region}" is not one of af-south-1, .*us-west-2, the regions with an Insights layer for ${architecture}; there x86_64 has one$`,
        ),
      );
    },
  );

  test.each([
    ["us-east-1", "arm64", "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:27"],
    ["us-east-1", "x86_64", "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:60"],
    ["us-west-1", "arm64", "arn:aws:lambda:us-west-1:580247275435:layer:LambdaInsightsExtension-Arm64:25"],
    ["cn-north-1", "x86_64", "arn:aws-cn:lambda:cn-north-1:488211338238:layer:LambdaInsightsExtension:48"],
    ["us-gov-west-1", "x86_64", "arn:aws-us-gov:lambda:us-gov-west-1:751350123760:layer:LambdaInsightsExtension:24"],
    ["af-south-1", "arm64", "arn:aws:lambda:af-south-1:012438385374:layer:LambdaInsightsExtension-Arm64:26"],
  ] as const)("of %s %s is %s", (region, architecture, expected) => {
    expect(arn(InsightsLayer.latest(), region, architecture)).toBe(expected);
  });
});

describe("a layer by version", () => {
  test("is the article's :2", () => {
    expect(arn(InsightsLayer.version("1.0.135.0"), "us-east-1", "arm64")).toMatch(/-Arm64:2$/);
  });

  test("that does not exist is refused with the versions that do", () => {
    expect(InsightsLayer.version("1.0.1.0").problems("us-east-1", "arm64")).toEqual([
      `shutdownExtension "1.0.1.0" is not one of 1.0.135.0, 1.0.229.0, 1.0.273.0, 1.0.275.0, 1.0.295.0, 1.0.317.0, 1.0.333.0, 1.0.391.0, 1.0.404.0, 1.0.498.0`,
    ]);
  });

  test("that a region lacks is refused with the regions that have it", () => {
    expect(InsightsLayer.version("1.0.498.0").problems("eu-west-1", "arm64")).toEqual([
      `region "eu-west-1" is not one of af-south-1, ap-east-1, ap-northeast-1, ap-south-1, us-east-1, us-east-2, us-west-1, us-west-2, the regions with Insights 1.0.498.0 for arm64; there x86_64 has one`,
    ]);
  });
});

describe("a layer by ARN", () => {
  const layer = "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:31";

  test("wins over the table", () => {
    expect(arn(InsightsLayer.arn(layer), "us-east-1", "arm64")).toBe(layer);
  });

  test("may be a copy of any name, in a region that the table lacks", () => {
    const copy = "arn:aws:lambda:ca-west-1:123456789012:layer:insights:1";
    expect(arn(InsightsLayer.arn(copy), "ca-west-1", "arm64")).toBe(copy);
  });

  test("of the other architecture is refused", () => {
    expect(InsightsLayer.arn(layer).problems("us-east-1", "x86_64")).toEqual([
      `shutdownExtension "${layer}" is for arm64; x86_64 needs LambdaInsightsExtension`,
    ]);
  });

  test("that only Terraform knows is left to Terraform", () => {
    const variable = new TerraformVariable(newStack(), "layer", {}).stringValue;
    expect(InsightsLayer.arn(variable).problems("us-east-1", "arm64")).toEqual([]);
  });
});
