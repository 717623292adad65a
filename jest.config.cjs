const { existsSync } = require("node:fs");
const { join } = require("node:path");

const has = (folder) => existsSync(join(__dirname, folder));

/** Minutes, and all of the machine: Terraform, installed packages, forks, CDK Terrain. */
const SLOW = [
  "modules/__tests__/deployment",
  "modules/__tests__/cdktn",
  "packages/bench/(project/(fork|package)|recipes)",
];

/**
 * npm test runs the slow tests by themselves, behind the others: the lab's tests measure real milliseconds. A project that
 * has deleted the lab leaves them out, and npm run test:all runs them there.
 */
const isSlowRun = process.env.JEST_SLOW === "true";
const runsSlow = has("packages/lab") || process.env.TEST_ALL === "true";

/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  // The packages' own sources, without a build.
  testEnvironmentOptions: { customExportConditions: ["source", "node", "node-addons"] },
  roots: ["__tests__", "modules", "packages"].filter(has).map((folder) => `<rootDir>/${folder}`),
  testRegex: isSlowRun ? SLOW.map((folder) => `/${folder}/.*\\.test\\.ts$`) : ["\\.test\\.ts$"],
  testPathIgnorePatterns: [
    "/node_modules/",
    "/dist/",
    ...(isSlowRun && runsSlow ? [] : SLOW.map((folder) => `/${folder}/`)),
  ],
  passWithNoTests: isSlowRun,
  // With its condition `source`, an installed package is TypeScript.
  transformIgnorePatterns: ["/node_modules/.*(?<!\\.ts)$"],
  transform: {
    "^.+\\.(ts|mjs)$": ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }],
  },
  // The lab reserves real milliseconds for what it measures; a second worker is what two cores carry. Without the lab, a
  // third one works while the others wait.
  maxWorkers: has("packages/lab") && !isSlowRun ? 2 : 3,
  testTimeout: 120_000,
  setupFilesAfterEnv: ["<rootDir>/__tests__/real-time.ts"],
};
