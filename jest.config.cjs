/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  roots: ["<rootDir>/__tests__"],
  testMatch: ["**/*.test.ts"],
  transform: {
    "^.+\\.(ts|mjs)$": ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }],
  },
  // The lab reserves real milliseconds for what it measures; a second worker is what two cores carry.
  maxWorkers: 2,
  testTimeout: 60_000,
  setupFilesAfterEnv: ["<rootDir>/__tests__/real-time.ts"],
};
