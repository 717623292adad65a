import { readFileSync } from "node:fs";
import { DARK, LIGHT, type Palette } from "../../lab/report/palette";
import type { ReportData } from "../../lab/report/report-data";

/** Where the three bars stand, in two widths: a text of 13 pixels in a wide drawing has 5 on a telephone. */
interface Layout {
  readonly width: number;
  readonly textSize: number;
  readonly title: readonly string[];
}

const LAYOUTS: Readonly<Record<string, Layout>> = {
  "docs/figures/held.svg": {
    ...{ width: 860, textSize: 17 },
    title: ["Connections that the server still holds when every environment is gone"],
  },
  "docs/figures/held-narrow.svg": {
    ...{ width: 390, textSize: 15 },
    title: ["Connections that the server still", "holds when every environment is gone"],
  },
};
const MARGIN = 20;
const BAR_HEIGHT = 22;

/** File → the picture at the top of README, drawn from the storms that were measured. */
export function heldFigures(): ReadonlyMap<string, string> {
  const { storms } = JSON.parse(readFileSync("docs/figures/measured.json", "utf8")) as ReportData;
  return new Map(Object.entries(LAYOUTS).map(([file, layout]) => [file, heldFigure(storms, layout)]));
}

function heldFigure(storms: ReportData["storms"], { width, textSize, title }: Layout): string {
  const most = Math.max(1, ...storms.map(({ leaked }) => leaked));
  const lineHeight = textSize * 1.4;
  const top = MARGIN + title.length * lineHeight;
  const rowHeight = lineHeight + BAR_HEIGHT + 14;
  const rows = [...storms]
    .sort((one, other) => other.leaked - one.leaked || other.aborted - one.aborted)
    .map(({ subject, opened, aborted, leaked }, index) => {
      const y = top + (index + 1) * rowHeight - BAR_HEIGHT - 4;
      const ends = leaked > 0 ? `${leaked} of ${opened}` : `0 of ${opened}${aborted > 0 ? `, ${aborted} aborted` : ""}`;
      const length = Math.max(3, (leaked / most) * (width - 2 * MARGIN));
      return (
        `<text x="${MARGIN}" y="${y - 6}">${subject}: <tspan class="strong">${ends}</tspan></text>` +
        `<rect class="${leaked > 0 ? "bad" : "good"}" x="${MARGIN}" y="${y}" width="${length.toFixed(0)}" height="${BAR_HEIGHT}" rx="3"/>`
      );
    });
  const height = Math.ceil(top + rows.length * rowHeight + MARGIN / 2);
  const lines = title.map((text, at) => `<tspan x="${MARGIN}" y="${MARGIN + (at + 0.7) * lineHeight}">${text}</tspan>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${title.join(" ")}</title>`,
    `<style>text { font: ${textSize}px system-ui, -apple-system, "Segoe UI", sans-serif } .strong { font-weight: 600 }`,
    `${colours(LIGHT)} @media (prefers-color-scheme: dark) { ${colours(DARK)} }</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="8"/>`,
    `<text class="strong">${lines.join("")}</text>`,
    ...rows,
    "</svg>\n",
  ].join("\n");
}

function colours({ ink, paper, good, bad }: Palette): string {
  return `text { fill: ${ink} } .paper { fill: ${paper} } .good { fill: ${good} } .bad { fill: ${bad} }`;
}
