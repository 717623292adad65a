/**
 * Starts aws-lambda-ric as Lambda's bootstrap does: from version 4 on it starts as it is loaded, before that it is told
 * where the handler is.
 *
 *   node start-client.mjs <folder of aws-lambda-ric>
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

export async function startClient(folder) {
  const older = join(folder, "dist/index.mjs");
  if (!existsSync(older)) {
    await import(pathToFileURL(join(folder, "index.mjs")).href);
    return;
  }
  const { run } = await import(pathToFileURL(older).href);
  await run(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
}

if (argv[1] === fileURLToPath(import.meta.url)) await startClient(argv[2]);
