import { synthesis } from "./synthesis";

test("the synthesis is measured beside that of what `cdktf init` gives", () => {
  const { cold, warm, template } = synthesis(1);
  for (const seconds of [...cold, ...warm, ...template]) expect(seconds).toBeGreaterThan(0);
  expect([cold, warm, template].map(({ length }) => length)).toEqual([1, 1, 1]);
}, 240_000);
