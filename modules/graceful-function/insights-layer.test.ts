import { TerraformVariable } from "cdktf";
import { readFileSync } from "node:fs";
import { ARCHITECTURES, type Architecture } from "../code/native-code";
import { InsightsLayer } from "./insights-layer";
import table from "./insights-layers.json";
import { newStack } from "../__tests__/synthesis";

const owners: Record<string, { partition: string; account: string }> = table.regions;
const layers: Record<Architecture, Record<string, Record<string, number>>> = table.layers;
const rows = ARCHITECTURES.flatMap((architecture) =>
  Object.entries(layers[architecture]).map(([region, numbers]) => ({
    architecture,
    region,
    numbers: Object.entries(numbers),
  })),
);
/** Where AWS's page, as others quote it, says what the source has wrong. */
const CONFIRMED = "af-south-1 ap-east-1 ap-northeast-1 ap-south-1 us-east-1 us-east-2 us-west-1 us-west-2".split(" ");

function arn(layer: InsightsLayer, region: string, architecture: Architecture): string {
  return layer.bind(newStack(), region, architecture).arn;
}

describe("the table", () => {
  test("covers the regions of both architectures, and lists no others", () => {
    expect(ARCHITECTURES.map((each) => Object.keys(layers[each]).length)).toEqual([26, 38]);
    expect([...new Set(rows.map(({ region }) => region))].sort()).toEqual(Object.keys(owners).sort());
    expect(rows.every(({ numbers }) => numbers.length > 0)).toBe(true);
  });

  test("has the partition of each region's name, and accounts of one partition", () => {
    const partitions = new Map<string, string>();
    for (const [region, { partition, account }] of Object.entries(owners)) {
      expect(partition).toBe(/^(cn|us-gov)-/.test(region) ? `aws-${region.replace(/-[a-z]+-\d$/, "")}` : "aws");
      expect(account).toMatch(/^\d{12}$/);
      expect(partitions.get(account) ?? partition).toBe(partition);
      partitions.set(account, partition);
    }
  });

  test.each(rows)("$region $architecture: a newer version has a higher number", ({ numbers }) => {
    numbers.forEach(([version, number], index) => {
      expect(version).toMatch(/^1\.0\.\d+\.0$/);
      expect(Number.isInteger(number) && number > 0).toBe(true);
      const [earlier, before] = numbers[index - 1] ?? ["", number - 1];
      expect(version.localeCompare(earlier, "en", { numeric: true })).toBe(1);
      expect(number).toBeGreaterThan(before);
      // AWS publishes a few builds between two versions. A bigger step is a typing error of the source, as 44 → 456 was.
      expect(number - before).toBeLessThanOrEqual(20);
    });
  });

  test.each(table.excluded)("$architecture $version $region is left out", ({ architecture, version, region }) => {
    const kept = rows
      .filter((row) => row.architecture === architecture && (region === "*" || row.region === region))
      .filter(({ numbers }) => numbers.some(([each]) => each === version))
      .map((row) => row.region);
    expect(kept).toEqual(architecture === "arm64" && version === "1.0.498.0" ? CONFIRMED : []);
  });

  test("has the article's version in the ten regions in which it was published", () => {
    expect(Object.values(layers.arm64).filter((numbers) => numbers["1.0.135.0"] === 2)).toHaveLength(10);
  });

  test.each(CONFIRMED)("arm64 1.0.498.0 in %s is as many numbers after 1.0.404.0 as on x86_64", (region) => {
    const [arm64, x86] = ARCHITECTURES.map((each) => {
      const numbers = layers[each][region];
      return (numbers?.["1.0.498.0"] ?? NaN) - (numbers?.["1.0.404.0"] ?? NaN);
    });
    expect(arm64).toBe(x86);
  });

  test("names its date, and how to use a newer layer", () => {
    expect(table.source.read).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect(table.source.newer).toContain("InsightsLayer.arn(");
    expect(readFileSync("docs/shutdown-extension.md", "utf8")).toContain(table.source.read);
  });
});

describe("the newest layer", () => {
  test.each(ARCHITECTURES)("is there for every region of the table, or refused: %s", (architecture) => {
    const name = architecture === "arm64" ? "LambdaInsightsExtension-Arm64" : "LambdaInsightsExtension";
    for (const region of Object.keys(owners)) {
      const { partition, account } = owners[region] ?? {};
      if (region in layers[architecture]) {
        const found = arn(InsightsLayer.latest(), region, architecture);
        expect(found.replace(/\d+$/, "")).toBe(`arn:${partition}:lambda:${region}:${account}:layer:${name}:`);
      } else {
        expect(InsightsLayer.latest().problems(region, architecture).join()).toMatch(
          new RegExp(
            `^region "${region}" is not one of af-south-1, .*us-west-2, the regions with an Insights layer for arm64; there x86_64 has one$`,
          ),
        );
      }
    }
  });

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

describe("another layer", () => {
  const layer = "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:31";
  const copy = "arn:aws:lambda:ca-west-1:123456789012:layer:insights:1";

  test("by version is the article's :2, by ARN also a copy in a region that the table lacks", () => {
    expect(arn(InsightsLayer.version("1.0.135.0"), "us-east-1", "arm64")).toMatch(/-Arm64:2$/);
    expect(arn(InsightsLayer.arn(layer), "us-east-1", "arm64")).toBe(layer);
    expect(arn(InsightsLayer.arn(copy), "ca-west-1", "arm64")).toBe(copy);
  });

  test("that only Terraform knows is left to Terraform", () => {
    const variable = new TerraformVariable(newStack(), "layer", {}).stringValue;
    expect(InsightsLayer.arn(variable).problems("us-east-1", "arm64")).toEqual([]);
  });

  test.each([
    [
      InsightsLayer.version("1.0.1.0"),
      ["us-east-1", "arm64"],
      `shutdownExtension "1.0.1.0" is not one of 1.0.135.0, 1.0.229.0, 1.0.273.0, 1.0.275.0, 1.0.295.0, 1.0.317.0, 1.0.333.0, 1.0.391.0, 1.0.404.0, 1.0.498.0`,
    ],
    [
      InsightsLayer.version("1.0.498.0"),
      ["eu-west-1", "arm64"],
      `region "eu-west-1" is not one of ${CONFIRMED.join(", ")}, the regions with Insights 1.0.498.0 for arm64; there x86_64 has one`,
    ],
    [
      InsightsLayer.arn(layer),
      ["us-east-1", "x86_64"],
      `shutdownExtension "${layer}" is for arm64; x86_64 needs LambdaInsightsExtension`,
    ],
  ] as const)("is refused with what there is: %#", (wrong, [region, architecture], expected) => {
    expect(wrong.problems(region, architecture)).toEqual([expected]);
  });
});
