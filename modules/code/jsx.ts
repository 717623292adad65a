import { Tsconfig } from "./tsconfig";

/** TypeScript leaves JSX in the code then, for another tool to compile. */
const PRESERVING: readonly unknown[] = ["preserve", "react-native"];

/**
 * How the bundler has to compile JSX where no tsconfig.json says it: with an import of `react/jsx-runtime`, or of that of
 * `jsxImportSource`. esbuild takes `React.createElement` instead, also in files that import no `React`.
 *
 * @param sources absolute paths of the project's own files
 */
export function jsxTransform(sources: readonly string[]): "automatic" | undefined {
  const isPreserved = sources.some((source) => {
    if (!/\.[jt]sx$/.test(source)) return false;
    const tsconfig = Tsconfig.nearestTo(source);
    return PRESERVING.includes(tsconfig?.option("jsx")) && tsconfig?.option("jsxFactory") === undefined;
  });
  return isPreserved ? "automatic" : undefined;
}
