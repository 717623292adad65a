import { readFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";
import { languagesTable } from "../../lab/runs/language-cases";
import { userHandlersTable } from "../../lab/runs/user-handlers";
import type { Figures } from "../figures";
import { markdown, summary } from "../summary";
import { classesList, fieldsList, membersList, optionsList } from "./api-lists";

/** What can stand between `<!-- begin KIND ARGUMENTS -->` and `<!-- end -->`. */
const KINDS: Readonly<Record<string, (...values: readonly string[]) => string>> = {
  options: (file = "", name = "", ...groups) => optionsList(file, name, ...groups),
  fields: (file = "", name = "") => fieldsList(file, name),
  members: (file = "", name = "") => membersList(file, name),
  classes: (file = "") => classesList(file),
  sample: (file = "") => codeBlock(file),
  "lab-handlers": () => userHandlersTable(),
  "lab-languages": () => languagesTable(),
  // The faults of the picture, so that table and picture say the same.
  figures: (file = "", measured = "") => {
    const { faults } = JSON.parse(readFileSync(measured, "utf8")) as Pick<Figures, "faults">;
    return markdown(summary({ ...(JSON.parse(readFileSync(file, "utf8")) as Figures), faults }));
  },
};

const BEGIN = "<!-- begin ";
const END = "<!-- end -->";

/**
 * The text of a document with its generated parts written anew.
 *
 * @throws Error if a part has no end, or its kind is not known
 */
export async function withGeneratedParts(text: string, file: string): Promise<string> {
  if (!text.includes(BEGIN)) return text;
  const [head = "", ...parts] = text.split(BEGIN);
  const written = parts.map((part) => {
    const close = part.indexOf(" -->\n");
    const end = part.indexOf(END);
    if (close < 0 || end < close) throw new Error(`${file}: "${BEGIN}${part.slice(0, 40)}" has no ${END}`);
    const words = part.slice(0, close);
    return `${BEGIN}${words} -->\n\n${generated(words, file)}\n\n${part.slice(end)}`;
  });
  const options = await resolveConfig(file);
  return format([head, ...written].join(""), { ...options, parser: "markdown" });
}

function generated(words: string, file: string): string {
  const [kind = "", ...values] = words.split(" ");
  const write = KINDS[kind];
  if (write === undefined) throw new Error(`${file}: "${kind}" is not one of ${Object.keys(KINDS).join(", ")}`);
  return write(...values);
}

function codeBlock(file: string): string {
  const language = file.slice(file.lastIndexOf(".") + 1);
  return `\`\`\`${language === "yml" ? "yaml" : language}\n${readFileSync(file, "utf8").trimEnd()}\n\`\`\``;
}
