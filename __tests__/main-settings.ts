import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The settings that a project changes in main.ts, as the template has them: tests that compare values use these. */
export const SAMPLE_SETTINGS = {
  STACK_NAME: '"graceful-shutdown"',
  region: '"us-east-1"',
  functionName: '"graceful-shutdown"',
  architecture: '"arm64"',
  runtime: '"nodejs24.x"',
  memorySize: "1024",
  timeout: "60",
  CREATE_DATABASE: "false",
  name: '"graceful-shutdown"',
  databaseName: '"app"',
} as const;

const MAIN = join(__dirname, "../main.ts");

function pattern(name: string): RegExp {
  return new RegExp(`(\\b${name}(?: =|:) )("[^"]*"|[\\w.]+)`);
}

/** What main.ts says now. @throws Error if main.ts has no such setting */
export function mainSetting(name: keyof typeof SAMPLE_SETTINGS | "entry"): string {
  const value = pattern(name).exec(readFileSync(MAIN, "utf8"))?.[2];
  if (value === undefined) throw new Error(`main.ts has no ${name}`);
  return value.replaceAll('"', "");
}

/** The text of main.ts with other settings. @throws Error if it lacks one of them */
export function mainWith(settings: Readonly<Record<string, string>>): string {
  let text = readFileSync(MAIN, "utf8");
  for (const [name, value] of Object.entries(settings)) {
    if (!pattern(name).test(text)) throw new Error(`main.ts has no ${name}`);
    text = text.replace(pattern(name), (_, before: string) => before + value);
  }
  return text;
}
