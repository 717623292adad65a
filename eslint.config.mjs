import { existsSync } from "node:fs";
import js from "@eslint/js";
import prettier from "eslint-config-prettier";
import * as regexp from "eslint-plugin-regexp";
import tseslint from "typescript-eslint";

/** What each room may import beside itself, by a relative path; CONTRIBUTING.md shows the same table. */
const ROOMS = {
  function: [],
  "packages/shutdown": [],
  "packages/mysql": [],
  "packages/bench": ["lab", "modules", "__tests__", "shutdown", "mysql"],
  "modules/terraform": [],
  "modules/code": ["terraform", "graceful-function"],
  "modules/graceful-function": ["code", "terraform"],
  "modules/mysql-database": ["graceful-function", "terraform"],
  "modules/export": ["graceful-function", "code", "terraform"],
  "packages/lab/processes": [],
  "packages/lab/mysql": ["processes"],
  "packages/lab/lambda": ["processes"],
  "packages/lab/functions": ["lambda", "mysql"],
  "packages/lab/runs": ["functions", "lambda", "mysql", "processes"],
  "packages/lab/faults": ["runs", "functions", "lambda", "mysql", "processes"],
  "packages/lab/report": ["runs", "faults", "functions", "lambda"],
  "packages/lab/observe": [],
  "packages/lab/cli": ["observe", "report", "faults", "runs", "functions", "lambda", "mysql", "processes"],
};

/** A path that leaves a room, from the room itself or a folder of it, leads into one of these rooms or to a JSON file. */
function borders([room, mayImport]) {
  const message = `${room}/ may import ${mayImport.join(", ") || "no other room"} (eslint.config.mjs: ROOMS).`;
  return ["*.ts", "*/*.ts", "*/*/*.ts"].map((files, depth) => {
    const out = "\\.\\./".repeat(depth + 1);
    const regex = String.raw`^${out}(\.\./)*(?!\.\./|(${mayImport.join("|")})/|[\w.-]+\.json$)`;
    return {
      files: [`${room}/${files}`],
      ignores: ["**/*.test.ts"],
      rules: { "no-restricted-imports": ["error", { patterns: [{ regex, message }] }] },
    };
  });
}

/** What a fork does not edit. */
const OURS = ["{modules,packages,scripts}/**/*.{ts,mjs,cjs}"];

/** A fork that installs the packages has no list of phrases. */
const { plainWords } = existsSync("scripts/plain-words.mjs") ? await import("./scripts/plain-words.mjs") : {};

export default tseslint.config(
  {
    ignores: [
      "examples/",
      "cdktf.out/",
      "**/dist/",
      "packages/shutdown/layer/",
      "**/.build-*/",
      "**/node_modules/",
      "coverage/",
      "**/.gen/",
    ],
  },
  js.configs.recommended,
  plainWords === undefined
    ? {}
    : { files: OURS, plugins: { words: { rules: { plain: plainWords } } }, rules: { "words/plain": "error" } },
  {
    plugins: { regexp },
    // One expression took exponential time over twenty lines of comments. Tests read only their own texts.
    ignores: ["**/*.test.ts"],
    rules: { "regexp/no-super-linear-backtracking": "error" },
  },
  {
    // What users and servers send is searched here, whatever its length.
    files: ["packages/{mysql,shutdown}/src/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "regexp/no-super-linear-backtracking": ["error", { report: "potential" }],
      "regexp/no-super-linear-move": ["error", { report: "potential", ignoreSticky: true }],
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        // Faster than projectService, which opens a project for each folder.
        project: ["tsconfig.json"],
        tsconfigRootDir: import.meta.dirname ?? new URL(".", import.meta.url).pathname,
      },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // Both compare the types of every assignment, which takes seconds, and the compiler reports most of it.
      "@typescript-eslint/no-unsafe-enum-assignment": "off",
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
    },
  },
  {
    files: ["**/*.{js,mjs,cjs}"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        require: "readonly",
        __dirname: "readonly",
        __filename: "readonly",
        module: "writable",
        exports: "writable",
        setTimeout: "readonly",
        setInterval: "readonly",
        clearInterval: "readonly",
        clearTimeout: "readonly",
        fetch: "readonly",
        Buffer: "readonly",
        URL: "readonly",
      },
    },
  },
  {
    files: OURS,
    // An example is what one copies, in one piece.
    ignores: ["**/*.test.ts", "modules/__tests__/examples/*"],
    rules: { "max-lines-per-function": ["error", { max: 40 }] },
  },
  ...Object.entries(ROOMS).flatMap(borders),
  {
    files: ["__tests__/**/*.ts", "main.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [{ regex: "packages/", message: "The template and its tests name packages, not their files." }] },
      ],
    },
  },
  {
    files: ["modules/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^@cdktf/provider-(aws|archive)$",
              message: "Import the resource's own path (lib/…): the package root costs seconds.",
            },
          ],
        },
      ],
    },
  },
  prettier,
);
