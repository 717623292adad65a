import { buildSync } from "esbuild";

const LIMIT = 12_000;

test(`onShutdown alone takes at most ${LIMIT} bytes of a bundle`, () => {
  const contents = `import { onShutdown } from "lambda-graceful-shutdown"; onShutdown("db", () => 0); export const handler = () => 1;`;
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: __dirname },
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    conditions: ["source"],
    minifyWhitespace: true,
    minifySyntax: true,
  });
  const bytes = outputFiles.reduce((sum, { contents: { length } }) => sum + length, 0);
  console.info(`onShutdown alone: ${bytes} bytes`);
  expect(bytes).toBeLessThanOrEqual(LIMIT);
});
