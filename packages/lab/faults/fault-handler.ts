import { join } from "node:path";
import { build } from "esbuild";
import type { Project } from "../functions/project";

/**
 * Bundles the project's handler for the fault table, as the deployed function is bundled.
 *
 * @param directory below a folder with the AWS SDK in its node_modules, which Lambda has and the bundle has not
 * @throws if lab.config.json names no such handler
 */
export async function bundleFaultHandler({ root, faultHandler }: Project, directory: string): Promise<void> {
  if (faultHandler === undefined) {
    throw new Error(`the fault table needs a handler of its own (${join(root, "lab.config.json")}: faultHandler)`);
  }
  await build({
    entryPoints: [faultHandler],
    outfile: join(directory, "index.mjs"),
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    conditions: ["source"],
    banner: {
      js: 'import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);',
    },
    external: ["@aws-sdk/*"],
    minifyWhitespace: true,
    minifySyntax: true,
  });
}
