import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { quantileSorted } from "simple-statistics";
import { LIGHT, schemes, type Palette } from "./palette";
import { subjectNotes } from "./subjects";

/** A chart, for the page and for a file of its own. */
export interface Figure {
  /** Of the file and of the part of the page. */
  readonly name: string;
  readonly title: string;
  /** What it shows, for readers who cannot see it. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  /** SVG. Colours are classes, so that a reader's scheme decides about them. */
  readonly body: string;
  /** Sentences below the chart: what its marks and words mean, and what it does not show. */
  readonly notes: readonly string[];
  readonly subjects: readonly string[];
  /** The same as words and numbers: a head, then rows. */
  readonly table: readonly (readonly string[])[];
}

/** The part of a DOM's element that the charts need; Plot's own types are a browser's. */
interface Drawn {
  readonly innerHTML: string;
  querySelector(selector: string): { remove(): void } | null;
}

const { document } = parseHTML("<html></html>") as unknown as { readonly document: unknown };

/**
 * What Plot draws, without its style sheet: the figure has one. What comes from data may be text and must not be an
 * attribute, such as an `ariaLabel`: the DOM escapes text, and in an attribute leaves `<` and `&` as they are.
 */
export function draw(options: Plot.PlotOptions): string {
  const svg = Plot.plot({ ...options, document, style: { fontSize: "13px" } }) as unknown as Drawn;
  svg.querySelector("style")?.remove();
  // What Plot sets on its own <svg>, the marks inherit.
  const body = `<g fill="currentColor" text-anchor="middle">${svg.innerHTML}</g>`;
  return body.replace(/="[^"]*"/g, (attribute) =>
    attribute.replace(/\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
  );
}

/** The chart as it stands in the page, whose style sheet has {@link figureStyle}, and which has the notes as text. */
export function inlineSvg(figure: Figure): string {
  return svg(figure, figure.height, figure.body);
}

function svg({ name, title, description, width }: Figure, height: number, content: string): string {
  return printable(
    `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="${name}-title ${name}-description">
<title id="${name}-title">${escape(title)}</title>
<desc id="${name}-description">${escape(description)}</desc>
${content}
</svg>`,
  );
}

const NOTE = { left: 20, lineHeight: 17, above: 12, below: 14 };
/** Of the widest of the fonts that a reader may have, at the notes' 12 px. */
const NOTE_CHARACTER_WIDTH = 6.9;

function noteLines({ notes, subjects, width }: Figure): readonly string[] {
  const most = Math.floor((width - 2 * NOTE.left) / NOTE_CHARACTER_WIDTH);
  return [...notes, ...subjectNotes(subjects)].flatMap((note) => wrapped(note, most));
}

function wrapped(text: string, most: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** The chart as a file: with its own style sheet, paper and notes, since nobody knows on what page it is shown. */
export function standaloneSvg(figure: Figure): string {
  const lines = noteLines(figure);
  const height = figure.height + NOTE.above + NOTE.lineHeight * lines.length + NOTE.below;
  const notes = lines.map((line, index) => {
    const y = figure.height + NOTE.above + NOTE.lineHeight * (index + 0.7);
    return `<text class="soft note" x="${NOTE.left}" y="${Math.round(y)}">${escape(line)}</text>`;
  });
  const paper = `<rect class="paper" width="${figure.width}" height="${height}" rx="8"/>`;
  const style = `<style>${figureStyle()}</style>\n${paper}`;
  return `${svg(figure, height, [style, figure.body, ...notes].join("\n"))}\n`;
}

export function figureStyle(): string {
  const colours = (palette: Palette): string =>
    [
      `.chart { color: ${palette.ink} } .ink { fill: ${palette.ink} } .soft { fill: ${palette.soft} } .paper { fill: ${palette.paper} }`,
      `.grid { stroke: ${palette.grid} } .mark { stroke: ${palette.ink}; fill: none }`,
      `.init { fill: ${palette.init} } .invoke { fill: ${palette.invoke} } .idle { fill: ${palette.grid} } .ending { fill: ${palette.ending} }`,
      `.good { fill: ${palette.good} } .bad { fill: ${palette.bad} } .good-cell { fill: ${palette.goodPaper} } .bad-cell { fill: ${palette.badPaper} }`,
      ...palette.subjects.map(
        (colour, subject) => `.way-${subject} { fill: ${colour} } .line-${subject} { stroke: ${colour} }`,
      ),
    ].join("\n");
  return `
.chart { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .chart text { white-space: pre } .chart .note { font-size: 12px } .strong { font-weight: 600 }
${schemes(colours)}`;
}

/** Not everybody can tell the colours apart, so the lines also differ in their dashes. */
const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2"];

export function look(subject: number): { readonly fill: string; readonly line: string; readonly dashes: string } {
  const index = subject % LIGHT.subjects.length;
  return { fill: `way-${index}`, line: `line-${index}`, dashes: DASHES[subject % DASHES.length] ?? "none" };
}

export function milliseconds(ms: number): string {
  return ms.toFixed(ms < 10 ? 1 : 0);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length === 0 ? NaN : quantileSorted(sorted, share);
}

/** Names come from users, and a drawing has only so much room. */
export function shortened(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" },
};

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** XML has no way to write most control characters, such as those that colour a line of log, not even escaped. */
export function printable(markup: string): string {
  return markup.replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, "\u{FFFD}");
}
