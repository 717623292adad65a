const { existsSync } = require("node:fs");
const { join } = require("node:path");

const has = (folder) => existsSync(join(__dirname, folder));

/**
 * Minutes, not seconds: Terraform, an installed package, a fork, CDK Terrain. A project that has deleted lab/ runs them
 * by name: npm run test:all.
 */
const SLOW = ["deployment", "package", "fork", "cdktn"].map((folder) => `/__tests__/${folder}/`);
const runsAll = has("lab") || process.env.TEST_ALL === "true";

/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  roots: ["__tests__", "lab", "bench"].filter(has).map((folder) => `<rootDir>/${folder}`),
  testMatch: ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", ...(runsAll ? [] : SLOW)],
  transform: {
    "^.+\\.(ts|mjs)$": ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }],
  },
  // The lab reserves real milliseconds for what it measures; a second worker is what two cores carry.
  maxWorkers: 2,
  testTimeout: 60_000,
  setupFilesAfterEnv: ["<rootDir>/__tests__/real-time.ts"],
};
