/**
 * `npx cdktf-cli@0.21.0 init --template <URL of this project's zip>` copies the files and runs this. The copy gets its own
 * names.
 * https://developer.hashicorp.com/terraform/cdktf/create-and-deploy/remote-templates
 */
const { readFileSync, rmSync, writeFileSync } = require("node:fs");

/** What the template calls itself, its stack, its function and its database. */
const TEMPLATE_NAME = "graceful-shutdown";
/** A role is named after function and region, and has 64 characters at the most. */
const MAX_NAME = 40;

exports.post = ({ Name, Description, projectId, $base }) => {
  const name = (Name || $base)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, MAX_NAME);
  if (name === "") throw new Error(`the project name "${Name}" has no letter from a to z (--project-name)`);

  editJson("package.json", (manifest) => ({ ...manifest, name, version: "0.1.0", description: Description || name }));
  editJson("package-lock.json", (lock) => {
    const root = { ...lock.packages[""], name };
    return { ...lock, name, packages: { ...lock.packages, "": root } };
  });
  editJson("cdktf.json", (settings) => ({ ...settings, projectId: projectId || name }));
  editJson("lab.config.json", (config) => ({ ...config, stack: name }));
  edit("main.ts", (text) => text.replaceAll(`"${TEMPLATE_NAME}"`, `"${name}"`));
  rmSync("CHANGELOG.md", { force: true });

  console.log(`
${name} is ready. In its folder:

  npm start                 set up, run the function through Init, Invoke and Shutdown on this machine
  npm test                  type check, lint and every test
  npx cdktf synth           the Terraform JSON
  npx cdktf deploy          needs Terraform and AWS credentials

Settings are at the top of main.ts, the handler is function/index.ts. To keep the template only: rm -rf lab bench
`);
};

function edit(file, change) {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

function editJson(file, change) {
  edit(file, (text) => `${JSON.stringify(change(JSON.parse(text)), undefined, 2)}\n`);
}
