const { existsSync } = require("node:fs");
const { join } = require("node:path");

const has = (folder) => existsSync(join(__dirname, folder));

/** Minutes, and all of the machine: Terraform, an installed package, forks, CDK Terrain. */
const SLOW = ["deployment", "package", "fork", "cdktn"].map((folder) => `/__tests__/${folder}/`);

/**
 * npm test runs the slow tests by themselves, behind the others: the lab's tests measure real milliseconds. A project that
 * has deleted lab/ leaves them out, and npm run test:all runs them there.
 */
const isSlowRun = process.env.JEST_SLOW === "true";
const runsSlow = has("lab") || process.env.TEST_ALL === "true";

/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  roots: ["__tests__", ...(isSlowRun ? [] : ["lab", "bench"])].filter(has).map((folder) => `<rootDir>/${folder}`),
  testMatch: isSlowRun ? SLOW.map((folder) => `**${folder}**/*.test.ts`) : ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", ...(isSlowRun && runsSlow ? [] : SLOW)],
  passWithNoTests: isSlowRun,
  transform: {
    "^.+\\.(ts|mjs)$": ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }],
  },
  // The lab reserves real milliseconds for what it measures; a second worker is what two cores carry. Without the lab, a
  // third one works while the others wait.
  maxWorkers: has("lab") ? 2 : 3,
  testTimeout: 120_000,
  setupFilesAfterEnv: ["<rootDir>/__tests__/real-time.ts"],
};
