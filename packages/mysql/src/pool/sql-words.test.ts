/** What a statement is, told from its first words, in a time that grows no faster than its text. */
import fc from "fast-check";
import { withoutValues } from "./statement-error.ts";
import { beginsTransaction, isCompound } from "./sql-words.ts";

const BEGIN = [
  ...["START TRANSACTION", "begin", "BEGIN WORK", "/* again */ BEGIN", "-- again\nstart\ttransaction read only"],
  ...["# again\n  --\n BEGIN;", "/**/START/* a */TRANSACTION", "/*!40000 BEGIN */"],
  ...["/*M!100100 START */ TRANSACTION", "/* a */ /* b -- c */ # d\n BEGIN"],
];
const NO_BEGIN = [
  ...["BEGIN NOT ATOMIC SELECT 1; END", "beginning", "SELECT 'BEGIN'", "/* BEGIN */ SELECT 1", "-- BEGIN"],
  ...["--BEGIN", "/* BEGIN", "# BEGIN\nSELECT 1", "START SLAVE", "begin_", ""],
];
const COMPOUND = [
  ...["CALL p()", "/* a */ call p()", "{ call p() }", "((CALL p()))", "DO f()", "/*!CALL p()*/"],
  "IF 1 THEN SELECT 1; END IF",
];
const SIMPLE = ["SELECT 1", "(SELECT 1)", "INSERT INTO t VALUES ('CALL')", "-- CALL p()\nSELECT 1", "callable"];

test.each([
  ["begins a transaction", beginsTransaction, BEGIN, NO_BEGIN],
  ["holds statements", isCompound, COMPOUND, SIMPLE],
] as const)("a statement that %s is told from others", (_, is, right, wrong) => {
  expect([...right, ...wrong].filter(is)).toEqual(right);
});

/** Pieces that comments, literals and words are made of, up to 100 kB of them. */
const PIECES = [...Array.from(" \n\t#'\"`({\\?ä\u00a0a"), "--", "/*", "*/", "/*!", "/*M!", "BEGIN", "start"];
const text = fc
  .tuple(fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 12 }), fc.nat({ max: 100_000 }), fc.string())
  .map(
    ([pieces, length, rest]) =>
      pieces
        .join("")
        .repeat(Math.ceil(length / pieces.join("").length))
        .slice(0, length) + rest,
  );

test("no text of 100 kB takes 50 ms", () => {
  let longest = 0;
  fc.assert(
    fc.property(text, (sql) => {
      const cpu = process.cpuUsage();
      beginsTransaction(sql);
      isCompound(sql);
      withoutValues(Object.assign(new Error(sql), { sqlState: "HY000", errno: 1062 }));
      longest = Math.max(longest, process.cpuUsage(cpu).user / 1_000); // of this process: a busy machine takes no part
    }),
    { numRuns: 1_000 },
  );
  expect(longest).toBeLessThan(50);
});
