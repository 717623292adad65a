import { escape, figureStyle, inlineSvg, printable, type Figure } from "./figure";
import { figuresOf } from "./figures";
import { schemes } from "./palette";
import { introductions } from "./subjects";
import type { ReportData } from "./report-data";
import { reportVerdict } from "./verdict";

/** One file that needs nothing else: no script, no font, no image, no request. */
export function page(data: ReportData): string {
  const { clean, headline, facts } = reportVerdict(data);
  const { runs, storms, faults } = data;
  const names = [...runs, ...storms].map(({ subject }) => subject);
  const shown = introductions([...names, ...faults.map((fault) => fault.function)]);
  const part = shown.length === 0 ? "" : `${WHAT_IS_SHOWN}\n${terms(shown)}\n</section>`;
  const measured = { measured: data.date, machine: data.machine, ...data.versions, seed: String(data.seed) };
  return printable(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<!-- Whatever the data hold, nothing is fetched and no script runs. -->
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(headline)}</title>
<style>${pageStyle()}${figureStyle()}</style>
</head>
<body>
<main>
<header>
<h1 class="${clean ? "is-good" : "is-bad"}">${escape(headline)}</h1>
<ul class="facts">
${facts.map((fact) => `<li>${escape(fact)}</li>`).join("\n")}
</ul>
</header>
${part}
${figuresOf(data).map(section).join("\n")}
<footer>
<h2>How it was measured</h2>
${terms(Object.entries(measured))}
</footer>
</main>
</body>
</html>
`);
}

const WHAT_IS_SHOWN = '<section aria-labelledby="shown">\n<h2 id="shown">What is shown</h2>';

function terms(all: readonly (readonly [name: string, what: string])[]): string {
  const lines = all.map(([name, what]) => `<dt>${escape(name)}</dt><dd>${escape(what)}</dd>`);
  return `<dl>\n${lines.join("\n")}\n</dl>`;
}

function section(figure: Figure): string {
  const { name, title, description, notes, table } = figure;
  const [head = [], ...rows] = table;
  // A box that scrolls must be reachable without a mouse: hence its tabindex, and a name for who hears it.
  const box = (label: string, content: string): string =>
    `<div class="box" role="region" tabindex="0" aria-label="${escape(label)}">${content}</div>`;
  return `<section aria-labelledby="${name}">
<h2 id="${name}">${escape(title)}</h2>
<figure>
${box(`${title}, chart`, inlineSvg(figure))}
<p class="hint">Scroll sideways to see the whole chart.</p>
<figcaption>${escape(description)}
<ul class="notes">
${notes.map((note) => `<li>${escape(note)}</li>`).join("\n")}
</ul>
</figcaption>
</figure>
<details>
<summary>The same as a table</summary>
${box(
  `${title}, table`,
  `<table>
<caption>${escape(title)}</caption>
<thead><tr>${head.map((cell) => `<th scope="col">${escape(cell)}</th>`).join("")}</tr></thead>
<tbody>
${rows.map(([first = "", ...cells]) => `<tr><th scope="row">${escape(first)}</th>${cells.map((cell) => `<td>${escape(cell)}</td>`).join("")}</tr>`).join("\n")}
</tbody>
</table>`,
)}
</details>
</section>`;
}

function pageStyle(): string {
  return `
* { box-sizing: border-box }
html { color-scheme: light dark; -webkit-text-size-adjust: 100% }
body { margin: 0; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; overflow-wrap: anywhere }
main { max-width: 980px; margin: 0 auto; padding: 24px 16px 48px }
h1 { font-size: clamp(1.5rem, 5vw, 2.2rem); line-height: 1.2; margin: 0 0 12px }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 40px 0 12px }
.notes { margin: 8px 0 0; padding-left: 20px }
.facts { list-style: none; margin: 0; padding: 0 } .facts li { padding: 2px 0 }
.hint { display: none; font-size: .875rem; margin: 8px 0 0 }
figure { margin: 0 } figcaption { font-size: .875rem; margin-top: 8px }
.box { overflow-x: auto; border: 1px solid; border-radius: 8px }
.box .chart { display: block; width: 100%; min-width: 760px; height: auto }
details { margin-top: 8px } summary { cursor: pointer; padding: 8px 0; font-size: .875rem }
table { border-collapse: collapse; font-size: .875rem; width: 100% }
caption { text-align: left; padding: 8px 12px; font-weight: 600 }
th, td { text-align: left; vertical-align: top; padding: 6px 12px; border-top: 1px solid; min-width: 6rem; overflow-wrap: normal }
tbody th { font-weight: 400 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0 } dd { margin: 0 }
@media (max-width: 800px) { .hint { display: block } }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: 8px } }
${schemes(
  ({ paper, ink, soft, grid, good, bad, invoke }) => `body { background: ${paper}; color: ${ink} }
figcaption, .hint, summary, dt { color: ${soft} } .box, th, td { border-color: ${grid} }
.is-good { color: ${good} } .is-bad { color: ${bad} } :focus-visible { outline: 2px solid ${invoke}; outline-offset: 2px }`,
)}`;
}
