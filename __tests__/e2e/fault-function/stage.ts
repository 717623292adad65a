import { build } from "esbuild";
import { join } from "node:path";

/**
 * Bundles the fault function as the deployed one is bundled.
 *
 * @param directory below the repository's root, where the AWS SDK, which is Lambda's own there, can be found
 */
export async function stageFaultFunction(directory: string): Promise<void> {
  await build({
    entryPoints: [join(__dirname, "index.ts")],
    outfile: join(directory, "index.mjs"),
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    banner: {
      js: 'import{createRequire as $createRequire}from"node:module";const require=$createRequire(import.meta.url);',
    },
    external: ["@aws-sdk/*"],
    minifyWhitespace: true,
    minifySyntax: true,
  });
}
