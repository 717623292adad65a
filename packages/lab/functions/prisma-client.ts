import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { cachedFolder } from "../lambda/toolchain-cache";

const ADAPTERS = { mysql: "@prisma/adapter-mariadb", postgresql: "@prisma/adapter-pg" } as const;
const PACKAGES = { "@prisma/client": "7.10.0", prisma: "7.10.1" };

const schema = (provider: string): string => `generator client {
  provider = "prisma-client"
  output   = "../generated"
}
datasource db {
  provider = "${provider}"
}
model Order {
  id Int @id
}
`;

const entry = (adapter: string): string => `export { PrismaClient } from "./generated/client.ts";
export * from "${adapter}";
`;

const BANNER = `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`;

/**
 * A generated Prisma client with its driver adapter, `client.mjs`, as a handler deploys it. Made once: Prisma's own
 * packages take 300 MB, so they are no packages of the lab, and only the bundle of 6 MB stays.
 *
 * @throws with the end of the output if npm cannot have the packages
 */
export function prismaClient(provider: keyof typeof ADAPTERS): string {
  const adapter = ADAPTERS[provider];
  const packages = { ...PACKAGES, [adapter]: PACKAGES["@prisma/client"] };
  return cachedFolder(`prisma-${provider}-${Object.values(packages).join("-")}`, (folder) => {
    const work = join(folder, "work");
    mkdirSync(join(work, "prisma"), { recursive: true });
    writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, dependencies: packages }));
    writeFileSync(join(work, "prisma", "schema.prisma"), schema(provider));
    writeFileSync(join(work, "prisma.config.ts"), 'export default { schema: "prisma/schema.prisma" };\n');
    writeFileSync(join(work, "entry.mjs"), entry(adapter));
    run(work, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error");
    run(work, "npx", "--no-install", "prisma", "generate");
    buildSync({
      ...{ entryPoints: [join(work, "entry.mjs")], outfile: join(work, "client.mjs"), absWorkingDir: work },
      ...{ bundle: true, platform: "node", format: "esm", target: "node22", banner: { js: BANNER }, logLevel: "error" },
    });
    cpSync(join(work, "client.mjs"), join(folder, "client.mjs"));
    rmSync(work, { recursive: true });
  });
}

function run(cwd: string, program: string, ...args: readonly string[]): void {
  // Generating needs no engine, but the command downloads one unless there is one.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: "1" };
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: "utf8" });
  if (status === 0) return;
  const output = `${stdout}${stderr}${error?.message ?? ""}`.trim().split("\n").slice(-20).join("\n");
  throw new Error(`the Prisma client could not be made: ${program} ${args.join(" ")}\n${output}`);
}
