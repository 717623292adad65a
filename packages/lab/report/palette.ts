export const LIGHT = {
  paper: "#ffffff",
  ink: "#1f2328",
  soft: "#59636e",
  grid: "#d1d9e0",
  init: "#b6dcfb",
  invoke: "#0969da",
  ending: "#d4a72c",
  good: "#146c2e",
  bad: "#b3202c",
  goodPaper: "#dafbe1",
  badPaper: "#ffe3df",
  // Of the ways, which the colour-blind can tell apart, too (after Okabe and Ito, https://jfly.uni-koeln.de/color/).
  subjects: ["#0067a3", "#b04a00", "#8e2a8e", "#006d4d", "#6b5d00", "#59636e"],
};

export type Palette = typeof LIGHT;

export const DARK: Palette = {
  paper: "#0d1117",
  ink: "#f0f6fc",
  soft: "#9da7b1",
  grid: "#3d444d",
  init: "#1b4b7a",
  invoke: "#58a6ff",
  ending: "#bb8009",
  good: "#56d364",
  bad: "#ff8e85",
  goodPaper: "#12351d",
  badPaper: "#4b1a1a",
  subjects: ["#56b4e9", "#e69f00", "#dd9be0", "#3fc79a", "#f0e442", "#9da7b1"],
};

/** Rules for a reader who wants it light, and for one who wants it dark. */
export function schemes(rules: (palette: Palette) => string): string {
  return `${rules(LIGHT)}\n@media (prefers-color-scheme: dark) {\n${rules(DARK)}\n}`;
}
