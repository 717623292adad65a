import { existsSync } from "node:fs";
import path from "node:path";
import type { Architecture } from "./native-code";
import { filesBelow } from "./directory-files";
import { problem, ConstructSettingsError } from "../terraform/construct-settings-error";

/** Prisma's words for Lambda's platforms: https://www.prisma.io/docs/orm/reference/prisma-schema-reference#binarytargets-options */
const BINARY_TARGETS: Readonly<Record<Architecture, string>> = {
  arm64: "linux-arm64-openssl-3.0.x",
  x86_64: "rhel-openssl-3.0.x",
};

const ENGINE = /^client\/(?:lib)?query_engine-/;

/**
 * Files of the client that `prisma generate` has written beside `@prisma/client`, by their path in the archive.
 *
 * @param directory of `@prisma/client`
 * @returns undefined if the client is not generated
 * @throws ConstructSettingsError if the client has engines, and none is for the platform
 */
export function prismaClient(directory: string, architecture: Architecture): ReadonlyMap<string, string> | undefined {
  const generated = path.join(directory, "../../.prisma");
  if (!existsSync(path.join(generated, "client/schema.prisma"))) return undefined;
  const target = BINARY_TARGETS[architecture];
  const names = filesBelow(generated, () => undefined);
  const engines = names.filter((name) => ENGINE.test(name));
  if (engines.length > 0 && !engines.some((name) => name.includes(target))) {
    const text = `has a generated client without an engine for ${architecture}. Set binaryTargets = ["native", "${target}"] in schema.prisma and run npx prisma generate`;
    throw new ConstructSettingsError([problem("code.install", "@prisma/client", text)]);
  }
  const deployed = names.filter((name) => !ENGINE.test(name) || name.includes(target));
  return new Map(deployed.map((name) => [`node_modules/.prisma/${name}`, path.join(generated, name)]));
}
