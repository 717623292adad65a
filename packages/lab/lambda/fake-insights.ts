import { join } from "node:path";
import type { ExternalExtension } from "./lambda-function";

const NAME = "fake-insights-extension";

/** In the place of CloudWatch Lambda Insights, whose layer exists only in AWS. It makes Lambda send SIGTERM. */
export const FAKE_INSIGHTS: ExternalExtension = {
  name: NAME,
  command: [process.execPath, join(__dirname, `${NAME}.mjs`)],
};

/** The same in a shell, where a second Node.js in each environment would take a third of the memory. */
export const LIGHT_FAKE_INSIGHTS: ExternalExtension = { name: NAME, command: ["bash", join(__dirname, `${NAME}.sh`)] };

/** The light one in its place; others stay as they are. */
export function lightened(extensions: readonly ExternalExtension[]): readonly ExternalExtension[] {
  return extensions.map((extension) => (extension.name === NAME ? LIGHT_FAKE_INSIGHTS : extension));
}
