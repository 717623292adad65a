const project = require("../../../jest.config.cjs");

const locked = "<rootDir>/modules/__tests__/cdktn/node_modules";

/**
 * The tests of modules/ with CDK Terrain in the place of CDKTF. `tsconfig.json` does the same for main.ts.
 *
 * @type {import("jest").Config}
 */
module.exports = {
  ...project,
  rootDir: "../../..",
  roots: ["<rootDir>/modules"],
  testRegex: ["\\.test\\.ts$"],
  // The first starts main.ts as a program of its own, which is compared as a whole.
  testPathIgnorePatterns: ["article.test.ts", "/node_modules/", "/modules/__tests__/"],
  moduleNameMapper: {
    "^cdktf$": `${locked}/cdktn`,
    "^@cdktf/(provider-(aws|archive)/.*)$": `${locked}/@cdktn/$1`,
    "^constructs$": `${locked}/constructs`,
    // Nothing is there: what is not mapped by the lines above is an error.
    "^(cdktf|@cdktf|constructs)(/.*)?$": "<rootDir>/modules/__tests__/cdktn/not-mapped",
  },
};
