/** An ESLint rule: the phrases of .textlint-words.yml are refused in comments, log lines and errors, too. */
import { readFileSync } from "node:fs";

const WORDS = readFileSync(new URL("../.textlint-words.yml", import.meta.url), "utf8");
const PHRASES = [...WORDS.matchAll(/- expected: (.*)\n +pattern: \/(.*)\/(i?)$/gm)].map(
  ([, expected, pattern, flags]) => ({
    expected,
    pattern: new RegExp(pattern, flags),
  }),
);

export const plainWords = {
  meta: { type: "suggestion", schema: [] },
  create({ report, sourceCode }) {
    const check = (node, text) => {
      for (const { expected, pattern } of PHRASES) {
        const [phrase] = pattern.exec(text) ?? [];
        if (phrase !== undefined) report({ loc: node.loc, message: `"${phrase}": write "${expected}"` });
      }
    };
    return {
      Program: () => {
        for (const comment of sourceCode.getAllComments()) check(comment, comment.value.replace(/\s*\n[ *]*/g, " "));
      },
      Literal: (node) => typeof node.value === "string" && check(node, node.value),
      TemplateElement: (node) => check(node, node.value.cooked ?? ""),
    };
  },
};
