import { readFileSync } from "node:fs";
import { synthesizeMain } from "../../__tests__/main-program";
import { mainWith, SAMPLE_SETTINGS } from "../../__tests__/main-settings";
import { type Attributes, policy, type Synthesized } from "../__tests__/synthesis";

interface Row {
  readonly element: string;
  readonly attribute: string;
  readonly article: string;
  readonly ours: string;
  readonly why: string;
}

const NONE = "–";

/** One row for each attribute: a line may name several elements and attributes, with a value for each or one for all. */
function rows(): Row[] {
  const lines = readFileSync("docs/article.md", "utf8").split("\n");
  return lines
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) => {
      const [elements = "", attributes = "", ...cells] = line.split("|").slice(1, -1);
      const [article = "", ours = "", why = ""] = articleOursWhy(cells);
      return values(elements).flatMap((element) =>
        values(attributes).map((attribute, number) => ({
          ...{ element, attribute, why: why.trim() },
          ...{ article: valueAt(article, number), ours: valueAt(ours, number) },
        })),
      );
    });
}

/** The tables have the columns Value, or Here and Why, or Article, Here and Why. */
function articleOursWhy(cells: readonly string[]): readonly string[] {
  if (cells.length === 1) return [...cells, "same"];
  return cells.length === 2 ? [NONE, ...cells] : cells;
}

/** The values of a cell without their backticks, or its text. */
function values(cell: string): readonly string[] {
  const quoted = [...cell.matchAll(/`([^`]*)`/g)].map(([, value = ""]) => value);
  return quoted.length > 0 ? quoted : [cell.trim()];
}

function valueAt(cell: string, number: number): string {
  const all = values(cell);
  return (all.length === 1 ? all[0] : all[number]) ?? "";
}

/** `aws_iam_role.function_role_2E3FB14F.arn` → `aws_iam_role.arn`, as the table writes references. */
function withoutLocalNames(value: string): string {
  return value
    .replaceAll(/\.function_[\w-]+_[0-9A-F]{8}/g, "")
    .replace(/\/assets\/function_code_asset_\w+\/[0-9a-f]{32}$/, "/assets/…");
}

/** Attribute → value, policies and nested objects taken apart. */
function flatten(prefix: string, value: unknown): [string, string][] {
  if (/policy$/.test(prefix)) {
    const { Statement: statements, ...rest } = policy(value);
    const fields = [rest, ...statements].flatMap((each, number) =>
      Object.entries(each).map(([name, field]) => [number > 1 ? `${name} (${number})` : name, field] as const),
    );
    return fields.flatMap(([name, field]) => flatten(`${prefix}: ${name}`, field));
  }
  if (prefix.endsWith(".precondition")) {
    const preconditions = value as readonly { readonly condition: string }[];
    return preconditions.map(({ condition }, number) => [
      number > 0 ? `${prefix} (${number + 1})` : prefix,
      withoutLocalNames(condition),
    ]);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([name, field]) => flatten(`${prefix}.${name}`, field));
  }
  return [[prefix, withoutLocalNames(typeof value === "string" ? value : JSON.stringify(value))]];
}

/** "element, attribute" → value, of everything that is synthesized. */
function synthesizedValues({ resource, data }: Synthesized): Map<string, string> {
  const values = new Map<string, string>();
  const sources = Object.entries(data).map(([type, elements]) => [`data.${type}`, elements] as const);
  for (const [type, elements] of [...Object.entries(resource), ...sources]) {
    for (const { "//": comment, ...attributes } of Object.values(elements)) {
      const name = (comment as { metadata: { path: string } }).metadata.path.split("/").at(-1) ?? "";
      for (const [attribute, value] of Object.entries(attributes satisfies Attributes)) {
        for (const [key, text] of flatten(attribute, value)) values.set(`${type}.${name}, ${key}`, text);
      }
    }
  }
  return values;
}

describe("the tables of docs/article.md", () => {
  const table = rows();
  const synthesized = synthesizedValues(synthesizeMain(mainWith(SAMPLE_SETTINGS)));
  const key = ({ element, attribute }: Row): string => `${element}, ${attribute}`;

  test("has every synthesized attribute once, and no other", () => {
    const listed = table.filter(({ ours }) => ours !== NONE).map(key);
    expect(listed.sort()).toEqual([...synthesized.keys()].sort());
  });

  test.each(table.map((row) => [key(row), row] as const))("is right about %s", (name, { article, ours, why }) => {
    const actual = synthesized.get(name);
    if (ours === "same") {
      expect(actual).toBe(article);
      expect(why).toBe("");
    } else {
      expect(actual ?? NONE).toBe(ours);
      expect(ours).not.toBe(article);
      expect(why).not.toBe("");
    }
  });
});
