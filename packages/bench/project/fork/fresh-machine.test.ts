/** A clone on machines with Node.js alone: no Python, no make, no compiler, nothing installed. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NODE_VERSIONS, nodePath, type NodeVersion } from "../node-versions";
import { Fork, succeeded, type Ended } from "./fork";

jest.setTimeout(400_000);

const fork = new Fork();

const FAKE_TERRAFORM = `#!/bin/sh
case "$1" in
  version) echo '{"terraform_version":"1.9.0"}' ;;
  output) echo '{}' ;;
  apply) test -t 1 && echo "applied on a terminal" ;;
esac`;

const terraform = join(fork.directory, "bin");
mkdirSync(terraform);
writeFileSync(join(terraform, "terraform"), FAKE_TERRAFORM, { mode: 0o755 });

function on(version: NodeVersion, command: string): Promise<Ended> {
  const npm_config_cache = execFileSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).trim();
  return fork.run(command, { PATH: `${nodePath(version)}:${terraform}`, npm_config_cache });
}

test("npx cdktf synth is the first command: it says its megabytes, installs what npm start needs, and synthesizes", async () => {
  const { output } = succeeded(await on("20.19", "npx cdktf synth"));
  const [, announced = ""] = /set-up installs (\d+) MB/.exec(output) ?? [];
  const modules = join(fork.directory, "node_modules");
  const [taken = ""] = execFileSync("du", ["-sm", modules], { encoding: "utf8" }).split("\t");
  expect(Number(announced) / Number(taken)).toBeGreaterThan(0.8);
  expect(Number(announced) / Number(taken)).toBeLessThan(1.2);
  for (const name of ["typeorm", "sequelize", "pg", "textlint", "knip", "jest"])
    expect([name, existsSync(join(modules, name))]).toEqual([name, false]);
});

const synthesized = new Set<string>();

// The same installation: a change of Node.js's version needs no second one.
test.each(Object.keys(NODE_VERSIONS) as NodeVersion[])(
  "cdktf diff, which synthesizes the same code and JSON, and deploy run on Node.js %s",
  async (version) => {
    succeeded(await on(version, "npx cdktf diff"));
    // The folder of the code has the hash of its content.
    synthesized.add(readFileSync(join(fork.directory, "cdktf.out/stacks/graceful-shutdown/cdk.tf.json"), "utf8"));
    expect(synthesized.size).toBe(1);
    const deployed = succeeded(await on(version, "npx cdktf deploy --auto-approve --skip-provider-lock --skip-synth"));
    expect(deployed.output).toContain("applied on a terminal");
    expect(deployed.output).not.toMatch(/node-gyp|^ +at /m);
  },
);
