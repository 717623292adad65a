/**
 * `npx cdktf-cli@0.21.0 init --template <URL of this project's zip>` copies the files and runs this. The copy gets its own
 * names.
 * https://developer.hashicorp.com/terraform/cdktf/create-and-deploy/remote-templates
 */
const { execFileSync } = require("node:child_process");
const { readFileSync, rmSync, writeFileSync } = require("node:fs");
const { createInterface } = require("node:readline/promises");

/** What the template calls itself, its stack, its function and its database. */
const TEMPLATE_NAME = "graceful-shutdown";
/** A role is named after function and region, and has 64 characters at the most. */
const MAX_NAME = 40;

/** Answers the question without a terminal. */
const VARIABLE = "LGS_TEMPLATE";
const KINDS = {
  sources: "the constructs and libraries as sources in the project, to read and to change",
  packages: "the constructs and libraries as packages in vendor/: main.ts, function/ and tests only",
};
const DEFAULT_KIND = "sources";

exports.post = async ({ Name, Description, projectId, $base }) => {
  const kind = await chosenKind();
  const name = (Name || $base)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
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
  if (kind === "packages") {
    console.log("Installing, then packing the constructs and libraries into vendor/. This takes minutes.");
    execFileSync(process.execPath, ["scripts/standalone.mjs"], { stdio: "inherit" });
  }

  console.log(`
${name} is ready. In its folder:

  npm start                 set up, run the function through Init, Invoke and Shutdown on this machine
  npm test                  type check, lint and every test
  npx cdktf synth           the Terraform JSON
  npx cdktf deploy          needs Terraform and AWS credentials

Settings are at the top of main.ts, the handler is function/index.ts.${
    kind === "sources"
      ? `
To keep the template, its constructs and libraries only: rm -rf packages/lab packages/bench
To install these as packages instead: npm run standalone`
      : ""
  }
`);
};

/** From the environment, else from the user, else the default. */
async function chosenKind() {
  const names = Object.keys(KINDS);
  const set = process.env[VARIABLE];
  if (set !== undefined && !names.includes(set))
    throw new Error(`${VARIABLE} "${set}" is not one of ${names.join(", ")} (set it in the environment)`);
  if (set !== undefined || !process.stdin.isTTY || process.env.CI) return set ?? DEFAULT_KIND;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  console.log(names.map((name, index) => `  ${index + 1}  ${name}: ${KINDS[name]}`).join("\n"));
  const answer = (await terminal.question(`Which of the two? (1) `)).trim();
  terminal.close();
  return names[Number(answer || 1) - 1] ?? (names.includes(answer) ? answer : DEFAULT_KIND);
}

function edit(file, change) {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

function editJson(file, change) {
  edit(file, (text) => `${JSON.stringify(change(JSON.parse(text)), undefined, 2)}\n`);
}
