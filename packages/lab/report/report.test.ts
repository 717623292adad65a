import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Figure } from "./figure";
import { DARK, LIGHT } from "./palette";
import { reportData, type ReportData } from "./report-data";
import { reportVerdict } from "./verdict";
import { hostile, HOSTILE, MADE_UP } from "./made-up-report";

interface Drawn {
  readonly html: string;
  readonly figures: readonly Figure[];
  /** One for each figure. */
  readonly files: readonly string[];
}

const DRAW = `
const { figuresOf } = require("./packages/lab/report/figures.ts");
const { standaloneSvg } = require("./packages/lab/report/figure.ts");
const { page } = require("./packages/lab/report/page.ts");
const all = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const drawn = all.map((data) => {
  const figures = figuresOf(data);
  return { html: page(data), figures, files: figures.map(standaloneSvg) };
});
process.stdout.write(JSON.stringify(drawn));
`;

/** As the command loads it: Plot and the DOM that it draws in come as ES modules, which Jest does not load. */
function draw(...all: readonly ReportData[]): readonly Drawn[] {
  const drawn = execFileSync(process.execPath, ["--import", "tsx", "--eval", DRAW], {
    ...{ cwd: join(__dirname, "../../.."), input: JSON.stringify(all), encoding: "utf8", maxBuffer: 2 ** 26 },
  });
  return JSON.parse(drawn) as readonly Drawn[];
}

function figure(drawn: Drawn | undefined, name: string): Figure {
  const found = drawn?.figures.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no figure ${name}`);
  return found;
}

const { runs, storms, faults } = MADE_UP;
const [run] = runs;
const [storm] = storms;
const [fault] = faults;
if (run === undefined || storm === undefined || fault === undefined) throw new Error("there is nothing to draw");

const reset = [...(runs[1]?.timeline ?? []), ...run.timeline.map((entry) => ({ ...entry, at: entry.at + 500 }))];
const gone = Array.from({ length: 1_000 }, (_, index) => 1 + index / 10);
const [plain, evil, ...others] = draw(
  MADE_UP,
  hostile(),
  ...[
    { runs: [{ ...run, timeline: reset }] },
    { storms: [storm, storm, storm] },
    { faults: [...faults, ...faults.map((each) => ({ ...each, extension: "internal" as const }))] },
    { storms: [{ ...storm, endings: { "SIGKILL at once": 1_000 }, goneMs: gone }] },
    { storms: storms.map((each) => ({ ...each, goneMs: [], endings: {} })) },
    { faults: [] },
    { storms: [] },
    { runs: [{ ...run, inits: [95, 140, 88, 92, 101] }] },
    { storms: [{ ...storm, endings: { "SIGTERM, unheard": 4 } }] },
  ].map((change) => ({ ...MADE_UP, ...change })),
);
const [resetTwice, sameEnd, twoExtensions, thousand, nobody, ...more] = others;
const [withoutFaults, withoutStorm, fiveLives, endedUnheard] = more;

/** What a reader of the chart reads. */
function texts(svg: string): string[] {
  return [...svg.matchAll(/<(?:text|tspan)[^>]*>([^<]+)</g)].map(([, text = ""]) => text);
}

/** Each element with this class, or the content of it where it is a group. */
function marked(svg: string, name: string, className: string): string[] {
  return [...svg.matchAll(new RegExp(`<${name}[^>]*class="${className}"[^>]*>`, "g"))].map(([element]) => element);
}

function group(svg: string, className: string, mark: string): string[] {
  const groups = [...svg.matchAll(new RegExp(`<g[^>]*class="${className}"[^>]*>(.*?)</g>`, "gs"))];
  return groups.flatMap(([, content = ""]) => content.match(new RegExp(`<${mark}\\b[^>]*>`, "g")) ?? []);
}

function attribute(element: string | undefined, name: string): number {
  return Number(new RegExp(` ${name}="([^"]*)"`).exec(element ?? "")?.[1]);
}

describe("the timeline", () => {
  const { body, table } = figure(plain, "timeline");

  test("names each way, and when it sent COM_QUIT, was killed and was gone", () => {
    const names = ["this function", "the article&#39;s way", "no extension", "COM_QUIT + 4.0 ms"];
    const ends = ["SIGTERM, left by itself; 1 closed.", "SIGTERM, SIGKILL at its deadline; 1 aborted."];
    const leaked = "SIGKILL at once; 1 leaked until wait_timeout.";
    expect(texts(body)).toEqual(expect.arrayContaining([...names, ...ends, leaked]));
    expect(texts(body).filter((text) => text.startsWith("COM_QUIT +"))).toHaveLength(1);
    expect(body.match(/l10 10m0 -10l-10 10/g)).toHaveLength(3); // the crosses of the two that were killed, and the legend's
  });

  test("is to scale", () => {
    const [legend, left, hanged, killed] = marked(body, "rect", "ending").map((rect) => attribute(rect, "width"));
    expect(legend).toBe(12);
    expect((hanged ?? NaN) / (left ?? NaN)).toBeCloseTo(30, 0);
    expect((left ?? NaN) / (killed ?? NaN)).toBeCloseTo(2, 0);
  });

  test("says that Init was measured once, or the median and the spread of more", () => {
    expect(texts(body)).toContain("Init 90 ms (one run), 1 invocation");
    expect(texts(figure(fiveLives, "timeline").body)).toContain("Init 95 ms (p50 of 5, 88–140), 1 invocation");
  });

  test("has every event in a table", () => {
    expect(table.slice(1)).toHaveLength(runs.flatMap(({ timeline }) => timeline).length);
    expect(table).toContainEqual(["this function", "124.0", "Shutdown", "COM_QUIT to the server (its thread 7)"]);
  });

  test("after a reset that ended in SIGKILL shows the last signal, and no SIGKILL from before it", () => {
    const twice = figure(resetTwice, "timeline").body;
    expect(texts(twice).filter((text) => text.startsWith("COM_QUIT +"))).toEqual(["COM_QUIT + 4.0 ms"]);
    expect(twice.match(/l10 10m0 -10l-10 10/g)).toHaveLength(1); // the legend's
    expect(texts(twice)).toContain("Init 90 ms (one run), 2 invocations");
  });
});

describe("the log-in", () => {
  const LOG_INS = "Log-in: this function (secret, TLS verified), the article's way (password, no TLS).";

  test("is in each lane of the timeline, and in the caption of each chart of runs", () => {
    const { body, description } = figure(plain, "timeline");
    const logIns = texts(body).filter((text) => text.startsWith("log-in")); // the third's data do not tell
    expect(logIns).toEqual(["log-in: secret, TLS verified", "log-in: password, no TLS"]);
    expect(description).toContain(LOG_INS);
    for (const name of ["storm", "shutdown"]) {
      expect(figure(plain, name).description).toMatch(/Log-in: this function \(secret, TLS verified\)\.$/);
    }
    expect(plain?.html).toContain(LOG_INS.replace("'", "&#39;"));
  });

  test("is read back as it was printed, and a wrong one is refused", () => {
    const wrong = { ...MADE_UP, runs: [{ ...run, logIn: { auth: "none", tls: "verified" } }] };
    const message = 'runs[0].logIn.auth "none" is not one of secret';
    expect(() => reportData(JSON.stringify(wrong), "data.json")).toThrow(message);
  });
});

describe("the storm", () => {
  const { body, table } = figure(plain, "storm");

  test("has a line for each subject through each sample, and different lines even without colours", () => {
    const lines = [0, 1, 2].map((subject) => group(body, `line-${subject}`, "path"));
    expect(lines.map((paths) => paths.length)).toEqual([1, 1, 1]);
    // A step goes along and then up or down: two points for each sample but the first.
    for (const [path] of lines) expect(path?.match(/[ML]/g)).toHaveLength(2 * 5 - 1);
    const dashes = [0, 1, 2].flatMap((subject) =>
      marked(body, "g", `line-${subject}`)[0]?.match(/stroke-dasharray="[^"]*"/),
    );
    expect(new Set(dashes).size).toBe(3);
  });

  test("ends each line at the last sample, and says there what was leaked", () => {
    const ends = [0, 1, 2].map((subject) => attribute(group(body, `way-${subject}`, "circle")[0], "cy"));
    expect(ends.toSorted((a, b) => b - a)).toEqual(ends); // the more are left, the higher
    const leaked = ["0 leaked, 0 aborted", "3 leaked, 0 aborted", "30 leaked, 0 aborted"];
    expect(texts(body)).toEqual(expect.arrayContaining(leaked));
  });

  test("separates labels whose lines end together", () => {
    const { body: same } = figure(sameEnd, "storm");
    const places = [...same.matchAll(/<g transform="translate\(12,([\d.-]+)\)"/g)].map(([, y]) => Number(y));
    expect(places).toHaveLength(3);
    const [low = NaN, middle = NaN, high = NaN] = places.toSorted((a, b) => a - b);
    expect(Math.min(middle - low, high - middle)).toBeGreaterThanOrEqual(36);
  });

  test("has its figures as a table", () => {
    expect(table[2]).toEqual(["the article's way", "20", "30", "27", "0", "3", "42", "2", "302"]);
  });
});

describe("the faults", () => {
  const { body, table } = figure(plain, "faults");

  test("have a cell for each run, which shows whether something was wrong", () => {
    expect(group(body, "good-cell", "rect")).toHaveLength(3);
    expect(group(body, "bad-cell", "rect")).toHaveLength(2);
    expect(texts(body)).toEqual(expect.arrayContaining(["✕ 1 aborted", "✕ SIGKILL, + 1"]));
    expect(texts(body).filter((text) => text === "✓")).toHaveLength(3);
  });

  test("have the score of each function, and all problems as a table", () => {
    expect(texts(body)).toEqual(expect.arrayContaining(["2 of 2", "1 of 2", "0 of 1"]));
    expect(table).toEqual([
      ["", "this function", "mysql2 alone", "the article's way"],
      [
        "idle",
        "nothing wrong",
        "Aborted_clients: +1",
        "end of the process: SIGKILL at its deadline, after 301 of 300 ms; connections left: 2",
      ],
      ["server killed", "nothing wrong", "nothing wrong", "not played"],
      ["nothing wrong", "2 of 2", "1 of 2", "0 of 1"],
    ]);
  });

  test("are separate for each extension if there are two", () => {
    const [head] = figure(twoExtensions, "faults").table;
    expect(head).toContain("mysql2 alone, external");
    expect(head).toContain("mysql2 alone, internal");
  });
});

describe("the ends", () => {
  const { body, table } = figure(plain, "shutdown");

  test("have a mark for each environment, a cross where the process was killed", () => {
    const marks = (mark: string): unknown => [0, 1, 2].map((subject) => group(body, `line-${subject}`, mark).length);
    expect([marks("circle"), marks("path")].map(String)).toEqual(["4,0,0", "0,3,2"]);
  });

  test("count one that ended by SIGTERM, unheard, as ended, not as killed", () => {
    const { body: unheard } = figure(endedUnheard, "shutdown");
    expect(group(unheard, "line-0", "circle")).toHaveLength(4);
  });

  test("say medians and what ended the process", () => {
    expect(texts(body)).toEqual(expect.arrayContaining(["p50 8.0 ms, p99 12 ms", "SIGKILL at its deadline 3×"]));
    expect(table[1]).toEqual(["this function", "4", "8.0", "12.0", "12.0", "12.0", "itself 4×"]);
  });

  test("of a thousand environments are drawn with some hundred marks, from the shortest to nearly the longest", () => {
    const marks = group(figure(thousand, "shutdown").body, "line-0", "path");
    expect(marks.length).toBeGreaterThan(200);
    expect(marks.length).toBeLessThanOrEqual(300);
  });

  test("of no environment are empty", () => {
    expect(figure(nobody, "shutdown").table[1]?.slice(0, 3)).toEqual(["this function", "0", ""]);
  });
});

describe("the verdict", () => {
  const verdictOf = (change: Partial<ReportData>): boolean => reportVerdict({ ...MADE_UP, ...change }).clean;
  test("is about the first subject, and names its facts", () => {
    expect(reportVerdict(MADE_UP)).toEqual({
      kind: "clean",
      clean: true,
      sentence: "this function gave every connection back",
      headline: "✓ this function gave every connection back",
      facts: [
        "✓ One life: 1 of 1 connections closed, the process ended by itself (log-in: secret, TLS verified).",
        "✓ Storm of 20 environments: 0 of 30 connections leaked, 0 aborted.",
        "✓ Faults: 2 of 2 left nothing wrong.",
      ],
    });
  });

  test.each<[string, Partial<ReportData>]>([
    ["leaked in one life", { runs: [{ ...run, outcomes: ["closed", "leaked"] }] }],
    ["opened none", { runs: [{ ...run, outcomes: [] }] }],
    ["had to be killed", { runs: [{ ...run, shutdown: { endedBy: "SIGKILL at its deadline", runtimeMs: 300 } }] }],
    ["leaked in the storm", { storms: [{ ...storm, leaked: 1 }] }],
    ["aborted in the storm", { storms: [{ ...storm, aborted: 1 }] }],
    ["met a fault that left something", { faults: [{ ...fault, problems: ["a lock is still held"] }] }],
    ["was not measured at all", { runs: [], storms: [], faults: [] }],
  ])("is against one that %s", (_, change) => {
    expect(verdictOf(change)).toBe(false);
  });

  test("says what was not measured", () => {
    expect(reportVerdict({ ...MADE_UP, faults: [] }).facts.at(-1)).toBe("– Not measured: the faults.");
  });
});

describe("the page", () => {
  const { html = "" } = plain ?? {};

  test("says the verdict, and how it was measured", () => {
    expect(html).toContain('<h1 class="is-good">✓ this function gave every connection back</h1>');
    for (const text of [MADE_UP.date, MADE_UP.machine, "MariaDB 10.11", "<dt>seed</dt><dd>7</dd>"]) {
      expect(html).toContain(text);
    }
  });

  test("has four charts, each with a title, a description and a table", () => {
    expect(html.match(/<svg [^>]*role="img" aria-labelledby="/g)).toHaveLength(4);
    expect(html.match(/<svg [^>]*>\s*<title id=[^>]*>[^<]+<\/title>\s*<desc id=[^>]*>[^<]+<\/desc>/g)).toHaveLength(4);
    expect(html.match(/<caption>[^<]+<\/caption>/g)).toHaveLength(4);
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("needs no request", () => {
    expect(html.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(/(src|href)=|url\(|@import|https?:/);
  });

  test("leaves out what was not measured", () => {
    expect(withoutFaults?.figures.map(({ name }) => name)).toEqual(["timeline", "storm", "shutdown"]);
    expect(withoutStorm?.html).not.toContain('id="storm"');
  });
});

test("all data appear as text in the page and in each file", () => {
  expect(evil?.files).toHaveLength(4);
  for (const markup of [evil?.html ?? "", ...(evil?.files ?? [])]) {
    expect(markup.includes("&lt;/title&gt;")).toBe(true);
    expect(markup.match(/<(script|img)[^>]*>|<\/title><\/style>/g)).toBeNull();
    expect(markup.includes(HOSTILE)).toBe(false);
    expect(markup.includes("\u001B")).toBe(false);
  }
});

describe("the colours", () => {
  const channel = (hex: string): number => {
    const value = parseInt(hex, 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = (colour.match(/[\da-f]{2}/g) ?? []).map(channel);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  /** https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
  const contrast = (one: string, other: string): number => {
    const [dark = 0, bright = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };

  test.each(Object.entries({ light: LIGHT, dark: DARK }))(
    "of the %s scheme have enough contrast for text, by WCAG",
    (_, palette) => {
      const { paper, ink, soft, good, bad, goodPaper, badPaper, init, subjects } = palette;
      const onPaper = [ink, soft, good, bad, ...subjects].map((colour) => [colour, paper]);
      const weak = [...onPaper, [good, goodPaper], [bad, badPaper], [ink, init]].filter(
        ([text = "", behind = ""]) => contrast(text, behind) < 4.5,
      );
      expect(weak).toEqual([]);
    },
  );
});

describe("earlier data", () => {
  test.each<[string, unknown, readonly string[]]>([
    ["another kind of file", [1, 2], ["the whole [1,2] is not an object"]],
    [
      "several things wrong, all at once",
      { ...MADE_UP, seed: "7", machine: undefined, runs: [{ ...runs[0], outcomes: ["lost"], inits: [1, "2"] }] },
      [
        'seed "7" is not a number',
        "machine is missing; expected a text",
        'runs[0].inits[1] "2" is not a number',
        'runs[0].outcomes[0] "lost" is not one of closed',
      ],
    ],
    ["a wrong date", { ...MADE_UP, date: "yesterday" }, ['date "yesterday" is not a date']],
    ["nothing to draw", { ...MADE_UP, runs: [], storms: [], faults: [] }, ["runs, storms and faults are empty"]],
    ["very much wrong", { ...MADE_UP, faults: Array.from({ length: 30 }, () => 1) }, ["faults[9] 1", "and 20 more"]],
  ])("with %s are refused, with where and what", (_, data, problems) => {
    for (const problem of problems) expect(() => reportData(JSON.stringify(data), "data.json")).toThrow(problem);
    expect(() => reportData(JSON.stringify(data), "data.json")).toThrow("data.json is not what `report --json` prints");
  });

  test("that are not JSON are refused with the file's name", () => {
    expect(() => reportData("{", "data.json")).toThrow("data.json is not JSON");
  });
});
