import { readFileSync } from "node:fs";
import table from "./insights-layers.json";

const regions: Record<string, { partition: string; account: string }> = table.regions;
const rows = Object.entries(table.layers as Record<string, Record<string, Record<string, number>>>).flatMap(
  ([architecture, byRegion]) =>
    Object.entries(byRegion).map(([region, numbers]) => ({ architecture, region, numbers: Object.entries(numbers) })),
);

function isNewer(version: string, than: string): boolean {
  return version.localeCompare(than, "en", { numeric: true }) > 0;
}

/** Where AWS's page, as others quote it, says what the source has wrong. */
const CONFIRMED = [
  "af-south-1",
  "ap-east-1",
  "ap-northeast-1",
  "ap-south-1",
  "us-east-1",
  "us-east-2",
  "us-west-1",
  "us-west-2",
];

describe("the table of Insights layers", () => {
  test("covers the regions of both architectures", () => {
    expect(Object.keys(table.layers.arm64)).toHaveLength(26);
    expect(Object.keys(table.layers.x86_64)).toHaveLength(38);
    expect(rows.every(({ numbers }) => numbers.length > 0)).toBe(true);
  });

  test.each(Object.entries(regions))("%s has the partition of its name and one account", (region, owner) => {
    const partition = region.startsWith("cn-") ? "aws-cn" : region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
    expect(owner.partition).toBe(partition);
    expect(owner.account).toMatch(/^\d{12}$/);
  });

  test("an account belongs to one partition", () => {
    const partitions = new Map<string, Set<string>>();
    for (const { account, partition } of Object.values(regions)) {
      partitions.set(account, (partitions.get(account) ?? new Set()).add(partition));
    }
    expect([...partitions.values()].filter((each) => each.size > 1)).toEqual([]);
  });

  test("a region is listed if and only if it has a layer", () => {
    expect([...new Set(rows.map(({ region }) => region))].sort()).toEqual(Object.keys(regions).sort());
  });

  test.each(rows)("$region $architecture: a newer version has a higher number", ({ numbers }) => {
    for (const [index, [version, number]] of numbers.entries()) {
      expect(version).toMatch(/^1\.0\.\d+\.0$/);
      expect(Number.isInteger(number) && number > 0).toBe(true);
      const before = numbers[index - 1];
      if (!before) continue;
      expect(isNewer(version, before[0])).toBe(true);
      expect(number).toBeGreaterThan(before[1]);
      // AWS publishes a few builds between two versions. A bigger step is a typing error of the source, as 44 → 456 was.
      expect(number - before[1]).toBeLessThanOrEqual(20);
    }
  });

  test.each(table.excluded)("$architecture $version $region is left out", ({ architecture, version, region }) => {
    const kept = rows
      .filter((row) => row.architecture === architecture && (region === "*" || row.region === region))
      .filter(({ numbers }) => numbers.some(([each]) => each === version))
      .map((row) => row.region);
    expect(kept).toEqual(architecture === "arm64" && version === "1.0.498.0" ? CONFIRMED : []);
  });

  test("the article's version is there, in the ten regions in which it was published", () => {
    const published = rows.filter(
      ({ architecture, numbers }) =>
        architecture === "arm64" && numbers.some(([version, number]) => version === "1.0.135.0" && number === 2),
    );
    expect(published).toHaveLength(10);
  });

  test.each(CONFIRMED)("arm64 1.0.498.0 in %s is as many numbers after 1.0.404.0 as on x86_64", (region) => {
    const step = (architecture: string): number => {
      const row = rows.find((each) => each.region === region && each.architecture === architecture);
      const numbers = Object.fromEntries(row?.numbers ?? []);
      return (numbers["1.0.498.0"] ?? NaN) - (numbers["1.0.404.0"] ?? NaN);
    };
    expect(step("arm64")).toBe(step("x86_64"));
  });

  test("names its date, and how to use a newer layer", () => {
    expect(table.source.read).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect(table.source.newer).toContain("InsightsLayer.arn(");
    expect(readFileSync("docs/shutdown-extension.md", "utf8")).toContain(table.source.read);
  });
});
