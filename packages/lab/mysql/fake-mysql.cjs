/** A clone has the sources of the fake server in a workspace, and the packed package a built copy. */
let file = "../dist/fake-mysql.cjs";
try {
  file = require.resolve("lambda-fake-mysql");
} catch {
  // This is the packed package.
}
module.exports = require(file);
