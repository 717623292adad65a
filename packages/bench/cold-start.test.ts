import { readFileSync } from "node:fs";
import path from "node:path";
import { claimsOf, holds } from "./claims";
import { coldRatio, type ColdStart, type ColdStarts } from "./cold-start";
import type { ColdKey } from "./cold-subjects";
import type { Figures } from "./figures";
import { summary } from "./summary";

const older = JSON.parse(readFileSync(path.join(__dirname, "reference.json"), "utf8")) as Figures;

/** Three rounds, on a machine that gets slower. */
function coldStart(subject: string, ready: number, answered: number): ColdStart {
  const rounds = (ms: number): readonly number[] => [ms, 2 * ms, 3 * ms];
  return { subject, ready: rounds(ready), answered: rounds(answered), cpu: rounds(10), read: rounds(1_000) };
}

const whole: Readonly<Record<ColdKey, ColdStart>> = {
  floor: coldStart("floor", 40, 45),
  password: coldStart("password", 68, 80),
  passwordTls: coldStart("password, TLS", 70, 100),
  secretTls: coldStart("secret, TLS", 72, 110),
  iamTls: coldStart("IAM, TLS", 72, 105),
  article: coldStart("article", 90, 100),
  awsDocs: coldStart("documentation", 200, 230),
};

const shares: ColdStarts["shares"] = [{ ...whole, memoryMb: 128 }];

function broken(coldStarts: ColdStarts): readonly string[] {
  const figures = { ...older, coldStarts, code: { ...older.code, ours: { ...older.code.ours, zipBytes: 300_000 } } };
  return claimsOf(figures)
    .filter((claim) => !holds(claim, figures))
    .map(({ text }) => text);
}

test("a ratio is the median of the rounds' ratios, whatever the machine's speed in each", () => {
  expect(coldRatio("answered", whole.secretTls, whole.passwordTls)).toBeCloseTo(1.1);
  expect(coldRatio("ready", whole.password, whole.floor)).toBeCloseTo(1.7);
});

test("each budget of the cold start can be broken", () => {
  const before = broken({ whole, shares });
  const slow = { ...whole, secretTls: coldStart("slow", 72, 120) };
  expect(broken({ whole: slow, shares })).toEqual([
    ...before,
    "first answer with secret and TLS ÷ with password and TLS, p50",
    "… ÷ a handler as AWS's documentation has it, p50",
  ]);
  expect(broken({ whole: { ...whole, password: coldStart("slow", 71, 80) }, shares })).toEqual([
    ...before,
    "Init with password ÷ an empty handler's, p50",
  ]);
});

test("the README's table has the cold start where it was measured", () => {
  const rows = summary({ ...older, coldStarts: { whole, shares } }).map(([label, ours]) => [label, ours]);
  expect(rows).toEqual(expect.arrayContaining([["÷ the same with a password and TLS", "1.10"]]));
  const { coldStarts, ...without } = older;
  expect(coldStarts).toBeDefined();
  expect(summary(without).length).toBe(rows.length - 3);
});
