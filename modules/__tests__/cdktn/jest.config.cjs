const project = require("../../../jest.config.cjs");

const locked = "<rootDir>/__tests__/cdktn/node_modules";

/**
 * The tests of modules/ with CDK Terrain in the place of CDKTF. `tsconfig.json` does the same for main.ts.
 *
 * @type {import("jest").Config}
 */
module.exports = {
  ...project,
  rootDir: "../..",
  roots: ["<rootDir>/__tests__/modules"],
  testMatch: ["**/*.test.ts"],
  // It starts main.ts as a program of its own, which is compared as a whole.
  testPathIgnorePatterns: ["article.test.ts"],
  moduleNameMapper: {
    "^cdktf$": `${locked}/cdktn`,
    "^@cdktf/(provider-(aws|archive)/.*)$": `${locked}/@cdktn/$1`,
    "^constructs$": `${locked}/constructs`,
    // Nothing is there: what is not mapped by the lines above is an error.
    "^(cdktf|@cdktf|constructs)(/.*)?$": "<rootDir>/__tests__/cdktn/not-mapped",
  },
};
