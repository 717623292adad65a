import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parse } from "@textlint/markdown-to-ast";
import GithubSlugger from "github-slugger";
import { projectFiles } from "./files";

export const ROOT = join(__dirname, "../../..");

export interface Code {
  /** The language of a block, `inline` for code in a sentence. */
  readonly language: string;
  readonly text: string;
}

export interface Page {
  readonly path: string;
  readonly text: string;
  readonly links: readonly string[];
  readonly anchors: readonly string[];
  readonly codes: readonly Code[];
}

interface Node {
  readonly type: string;
  readonly value?: string;
  readonly url?: string;
  readonly lang?: string | null;
  readonly children?: readonly Node[];
}

/** All pages of the project that its users read, with paths relative to its folder. */
export function pages(): readonly Page[] {
  const isPage = (path: string): boolean =>
    /^(docs\/|modules\/|packages\/\w+\/|examples\/[\w-]+\/)?[\w-]+\.md$/.test(path);
  return projectFiles().filter(isPage).map(page);
}

function page(path: string): Page {
  const text = readFileSync(join(ROOT, path), "utf8");
  const nodes = all(parse(text));
  const slugger = new GithubSlugger();
  const anchors = nodes.filter(({ type }) => type === "Header").map((node) => slugger.slug(textOf(node)));
  const links = nodes.flatMap(({ url }) => (url === undefined ? [] : [url]));
  const codes = nodes.flatMap(({ type, value = "", lang }) => {
    if (type === "CodeBlock") return [{ language: lang ?? "", text: value }];
    return type === "Code" ? [{ language: "inline", text: value }] : [];
  });
  return { path, text, links, anchors, codes };
}

function all(node: Node): readonly Node[] {
  return [node, ...(node.children ?? []).flatMap(all)];
}

function textOf(node: Node): string {
  return node.value ?? (node.children ?? []).map(textOf).join("");
}

/** What a fork may delete, or `cdktf init` deletes: documents may lead there all the same. */
const MAY_BE_GONE = ["packages/lab", "packages/bench", "CHANGELOG.md"];

/** Whether the path exists, or belongs to what this project has deleted. */
export function isThere(path: string): boolean {
  const gone = MAY_BE_GONE.filter((each) => !existsSync(join(ROOT, each)));
  return existsSync(join(ROOT, path)) || gone.some((each) => path === each || path.startsWith(`${each}/`));
}

export function target(from: Page, link: string): { readonly path: string; readonly anchor: string | undefined } {
  const [path = "", anchor] = link.split("#");
  return { path: path === "" ? from.path : relative(ROOT, join(ROOT, dirname(from.path), path)), anchor };
}
