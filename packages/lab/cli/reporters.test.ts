import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { checkReporters, ownsOutput, report, withReporter, type Check } from "./reporters";

const CHECKS: readonly Check[] = [
  { name: "idle", result: "clean", message: "all given back" },
  { name: "a <server> & its end", result: "not clean", message: "connections left: 1\nlocks: 1, 100 %" },
  { name: "no event", result: "could not be invoked", message: "TypeError" },
  { name: "none", result: "no database seen", message: "none opened" },
  { name: "TLS", result: "not played", message: "not for this handler" },
];
const scratch = mkdtempSync(join(tmpdir(), "reporters-"));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

test("junit: a failure, an error and two that were skipped, as XML", () => {
  const file = join(scratch, "lab.xml");
  report("faults", CHECKS, [{ kind: "junit", file }]);
  const xml = readFileSync(file, "utf8");
  expect(xml).toMatch(/<testsuite [^>]*name="lambda-shutdown-lab faults"/);
  expect(xml).toMatch(/tests="5" failures="1" errors="1" skipped="2"/);
  expect(xml).toContain('name="a &lt;server> &amp; its end"');
  expect(xml).toMatch(/<failure message="connections left: 1/);
});

test("github: an annotation for each that is not clean, a line each", () => {
  const file = join(scratch, "lab.txt");
  report("faults", CHECKS, [{ kind: "github", file }]);
  expect(readFileSync(file, "utf8").split("\n")).toEqual([
    "::error title=lambda-shutdown-lab faults%3A a <server> & its end::not clean: connections left: 1%0Alocks: 1, 100 %25",
    "::error title=lambda-shutdown-lab faults%3A no event::could not be invoked: TypeError",
    "::warning title=lambda-shutdown-lab faults%3A none::no database seen: none opened",
    "",
  ]);
});

test("the option takes kinds and files; standard output is for one format", () => {
  const parsed = (...args: readonly string[]): unknown =>
    withReporter(new Command())
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .parse([...args], { from: "user" })
      .opts();
  expect(parsed("--reporter", "junit=a.xml", "--reporter", "github")).toEqual({
    reporter: [{ kind: "junit", file: "a.xml" }, { kind: "github" }],
  });
  expect(() => parsed("--reporter", "tap")).toThrow("Expected one of junit, github");
  expect(ownsOutput([{ kind: "junit" }])).toBe(true);
  expect(ownsOutput([{ kind: "junit", file: "a.xml" }, { kind: "github" }])).toBe(false);
  expect(() => {
    checkReporters([{ kind: "junit" }], true);
  }).toThrow("--reporter junit=<file>");
});
