/** The report as its reader meets it: the command, its files, and the page in a real browser. */
import { execFile } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { chromium, type Browser, type Page } from "playwright-core";
import { reportData } from "./report-data";
import { hostile, MADE_UP } from "./made-up-report";

const ROOT = join(__dirname, "../../..");
const FIGURES = ["faults.svg", "shutdown.svg", "storm.svg", "timeline.svg"];
const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Run in the page: what is wider than the page, or than the nearest box that scrolls, says so. */
const CLIPPED = `[...document.querySelectorAll("main *")].flatMap((element) => {
  if (element.closest("svg") !== null && element.tagName !== "svg") return [];
  const box = element.closest(".box");
  const right = element.getBoundingClientRect().right;
  const scrolls = box !== null && box !== element && getComputedStyle(box).overflowX === "auto";
  const room = !scrolls ? innerWidth : box.getBoundingClientRect().left + box.clientLeft + box.scrollWidth;
  return right > room + 1 ? [element.tagName + " ends at " + right + " of " + room] : [];
})`;

/** Run in the page: texts of a chart that lie on one another, or reach out of it. */
const OVERLAPS = `[...document.querySelectorAll("svg")].flatMap((svg) => {
  const chart = svg.getBoundingClientRect();
  const lines = [...svg.querySelectorAll("text, tspan")].filter((each) => each.childElementCount === 0 && each.textContent !== "");
  const boxes = lines.map((line) => ({ text: line.textContent, box: line.getBoundingClientRect() }));
  const slack = 1.5; // a line box is a little higher than its letters
  const outside = boxes.filter(({ box }) =>
    box.left < chart.left - slack || box.right > chart.right + slack || box.top < chart.top - slack || box.bottom > chart.bottom + slack);
  const pairs = boxes.flatMap((one, index) => boxes.slice(index + 1).filter(({ box }) =>
    Math.min(one.box.right, box.right) - Math.max(one.box.left, box.left) > slack &&
    Math.min(one.box.bottom, box.bottom) - Math.max(one.box.top, box.top) > 3,
  ).map((other) => one.text + " on " + other.text));
  return [...outside.map(({ text }) => "outside: " + text), ...pairs];
})`;

const directory = fs.mkdtempSync(join(tmpdir(), "report-"));
afterAll(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function report(...args: readonly string[]): Promise<Ended> {
  // Jest sets FORCE_COLOR on a terminal.
  const own = { INIT_CWD: directory, NO_COLOR: "1", FORCE_COLOR: undefined, MYSQL_URL: "" };
  const env = { ...process.env, ...own, CDKTF_OUTDIR: file("cdktf.out") };
  const options = { cwd: ROOT, env, maxBuffer: 2 ** 26 };
  const command = ["--import", "tsx", "packages/lab/cli/lab.ts", "report", ...args];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, command, options)) };
  } catch (error) {
    return error as Ended;
  }
}

function file(name: string): string {
  return join(directory, name);
}

beforeAll(() => {
  fs.writeFileSync(file("data.json"), JSON.stringify(MADE_UP));
  fs.writeFileSync(file("hostile.json"), JSON.stringify(hostile()));
  const [first] = MADE_UP.storms;
  fs.writeFileSync(file("leaked.json"), JSON.stringify({ ...MADE_UP, storms: [{ ...first, leaked: 2 }] }));
});

describe("npx lambda-shutdown-lab report", () => {
  test("--data draws the page and the charts without measuring, and the exit code is the verdict", async () => {
    const { code, stdout } = await report("--data", "data.json", "--out", "drawn.html", "--svg", "drawn");
    expect(stdout).toContain("✓ this function gave every connection back");
    expect(code).toBe(0);
    expect(fs.readFileSync(file("drawn.html"), "utf8")).toMatch(/^<!doctype html>/);
    expect(fs.readdirSync(file("drawn")).toSorted()).toEqual(FIGURES);
    expect((await report("--data", "leaked.json", "--out", "leaked.html")).code).toBe(1);
  });

  test("--json prints data that --data takes, and writes only requested files", async () => {
    const { stdout } = await report("--data", "data.json", "--json");
    expect(reportData(stdout, "standard output")).toEqual(MADE_UP);
    const sentence = "this function gave every connection back";
    expect(JSON.parse(stdout)).toMatchObject({ clean: true, verdict: "clean", sentence });
    expect(fs.existsSync(file("report.html"))).toBe(false);
  });

  test.each([
    ["a file that is not there", ["--data", "nowhere.json"], 2, "nowhere.json"],
    ["sizes without a measurement", ["--data", "data.json", "--seed", "3"], 2, "--seed: no effect with --data"],
    ["a size out of range", ["--environments", "1001"], 2, "Expected a whole number from 1 to 1000"],
    ["a directory as the page", ["--out", "."], 2, "--out .: it is a directory"],
    ["a file as the directory of the charts", ["--svg", "other.json"], 2, "--svg other.json: EEXIST"],
    ["data of another shape", ["--data", "other.json"], 2, "other.json is not what `report --json` prints"],
  ])("refuses %s", async (_, args, expected, message) => {
    fs.writeFileSync(file("other.json"), "[]");
    const { code, stderr } = await report(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(expected);
  });

  test("measures five runs and a storm of each of three functions, with the outcome of each connection", async () => {
    const { stdout, stderr } = await report(..."--environments 3 --seconds 1 --no-faults --json".split(" "));
    expect(stderr).toContain("storm        no extension: ");
    const { runs, storms, faults, versions } = reportData(stdout, "standard output");
    expect(runs.map(({ inits }) => inits?.length)).toEqual([5, 5, 5]);
    const subjects = ["this function", "the article's way", "no extension"];
    expect([runs, storms].map((all) => all.map(({ subject }) => subject))).toEqual([subjects, subjects]);
    expect(faults).toEqual([]);
    expect(runs.map(({ outcomes }) => outcomes)).toEqual([["closed"], ["closed"], ["leaked"]]);
    for (const { samples } of storms)
      expect(Math.max(...samples.map(({ connections }) => connections))).toBeGreaterThan(0);
    expect(storms[0]?.leaked).toBe(0);
    expect(storms[2]?.leaked).toBeGreaterThanOrEqual(3);
    expect(versions).toMatchObject({ runtime: expect.stringContaining("Node.js v") as string });
  }, 180_000);
});

function findBrowser(): string | undefined {
  const onPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((folder) => BROWSERS.map((name) => join(folder, name)));
  return [process.env["CHROME_PATH"] ?? "", ...onPath].find((path) => path !== "" && fs.existsSync(path));
}

const executablePath = findBrowser();

if (executablePath === undefined) {
  test("NOT PROVEN without a browser: that the page opens, in light and dark, on a phone, and asks for nothing", () => {
    console.warn(
      `the report was not looked at: neither CHROME_PATH nor ${BROWSERS.join(", ")} on PATH; ` +
        "install one (on Debian: apt install chromium), or set CHROME_PATH to its program",
    );
  });
} else {
  describe("the page in a browser", () => {
    let browser: Browser;

    beforeAll(async () => {
      const keptOffTheNetwork = ["background-networking", "component-update", "sync"].map(
        (what) => `--disable-${what}`,
      );
      browser = await chromium.launch({
        executablePath,
        args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", ...keptOffTheNetwork],
      });
      fs.copyFileSync(join(ROOT, "docs/figures/measured.json"), file("measured.json"));
      for (const name of ["data", "hostile", "measured"]) {
        await report("--data", `${name}.json`, "--out", `${name}.html`, "--svg", name);
      }
    }, 60_000);
    afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
    afterAll(() => browser.close());

    interface Opened {
      readonly page: Page;
      /** What it asked for beside itself, and what it complained of. */
      readonly complaints: readonly string[];
    }

    async function open(name: string, colorScheme: "light" | "dark" = "light", width = 1_100): Promise<Opened> {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } });
      const url = pathToFileURL(file(name)).href;
      const complaints: string[] = [];
      page.on("request", (request) => request.url() === url || complaints.push(`request: ${request.url()}`));
      page.on("console", (message) => complaints.push(`console: ${message.text()}`));
      page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
      page.on("dialog", (dialog) => {
        complaints.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      await page.goto(url, { waitUntil: "networkidle" });
      return { page, complaints };
    }

    /** Run in the page, where there is a DOM; here there are no types for it. */
    function inPage<T>(page: Page, expression: string): Promise<T> {
      return page.evaluate<T>(expression);
    }

    test.each(["data.html", "hostile.html"])("%s opens, asks for nothing and complains of nothing", async (name) => {
      const { page, complaints } = await open(name);
      expect(await page.title()).toContain("this function");
      expect(complaints).toEqual([]);
      expect(await inPage(page, "document.scripts.length + document.images.length")).toBe(0);
      expect(await page.locator("footer dd").last().textContent()).toBe("7"); // markup from data has not ended it early
    });

    test("all four charts can be seen", async () => {
      const { page } = await open("data.html");
      const charts = page.locator("figure svg");
      expect(await charts.count()).toBe(4);
      for (const chart of await charts.all()) {
        await chart.scrollIntoViewIfNeeded();
        expect(await chart.isVisible()).toBe(true);
        const box = await chart.boundingBox();
        expect(box?.width).toBeGreaterThan(600);
        expect(box?.height).toBeGreaterThan(100);
      }
    });

    test("is dark in the dark colour scheme, with its charts", async () => {
      const colours = async (scheme: "light" | "dark"): Promise<readonly string[]> => {
        const { page } = await open("data.html", scheme);
        const found = await inPage<string[]>(
          page,
          `[["body", "backgroundColor"], ["body", "color"], [".chart .ink", "fill"], [".chart .line-0", "stroke"]]
             .map(([selector, property]) => getComputedStyle(document.querySelector(selector))[property])`,
        );
        return found;
      };
      const light = await colours("light");
      const dark = await colours("dark");
      const brightness = (colour = ""): number =>
        (colour.match(/\d+/g) ?? []).reduce((sum, part) => sum + Number(part), 0);
      expect(brightness(light[0])).toBeGreaterThan(brightness(light[1])); // paper, then ink
      expect(brightness(dark[0])).toBeLessThan(brightness(dark[1]));
      for (const [index, colour] of light.entries()) expect(dark[index]).not.toBe(colour);
    });

    const WIDTHS = [360, 390, 1_280].flatMap((width) =>
      ["data", "hostile", "measured"].map((name) => ({ name, width })),
    );
    test.each(WIDTHS)(
      "$name at $width px: nothing is clipped, no text of a chart lies on another, and what is wider scrolls in its box",
      async ({ name, width }) => {
        const { page } = await open(`${name}.html`, "light", width);
        await inPage(page, "document.querySelectorAll('details').forEach((each) => (each.open = true))");
        expect(await inPage(page, CLIPPED)).toEqual([]);
        expect(await inPage(page, OVERLAPS)).toEqual([]);
        const sizes = "[document.scrollingElement.scrollWidth, innerWidth]";
        const [content = NaN, screen] = await inPage<number[]>(page, sizes);
        expect(screen).toBe(width);
        expect(content).toBeLessThanOrEqual(width);
        const scrolls = "[...document.querySelectorAll('figure .box')].map((box) => box.scrollWidth > box.clientWidth)";
        if (width < 600 && name !== "measured") expect(await inPage(page, scrolls)).toEqual([true, true, true, true]);
      },
    );

    test("explains each function and each mark beside it", async () => {
      const { page } = await open("data.html", "light", 390);
      const text = await inPage<string>(page, "document.body.innerText");
      expect(text).toContain('the handler of the article "AWS Lambda Graceful Shutdown"');
      expect(text).toContain("The slope at the end is the lab's");
      expect(await page.locator(".hint").first().isVisible()).toBe(true);
      await page.setViewportSize({ width: 1_280, height: 800 });
      expect(await page.locator(".hint").first().isVisible()).toBe(false);
      const { page: chart } = await open("data/storm.svg");
      expect(await inPage(chart, "document.documentElement.textContent")).toContain("one Shutdown phase per core");
    });

    test.each(["data", "hostile", "measured"].flatMap((name) => FIGURES.map((figure) => `${name}/${figure}`)))(
      "%s is sound XML, has its own light and dark, and no text in it lies on another",
      async (name) => {
        const { page, complaints } = await open(name, "dark");
        expect(await inPage(page, OVERLAPS)).toEqual([]);
        expect(await inPage(page, "document.documentElement.tagName")).toBe("svg");
        expect(await inPage(page, "document.querySelectorAll('parsererror, script, foreignObject').length")).toBe(0);
        const paper = "getComputedStyle(document.querySelector('.paper')).fill";
        const dark = await inPage<string>(page, paper);
        await page.emulateMedia({ colorScheme: "light" });
        expect(await inPage<string>(page, paper)).not.toBe(dark);
        expect(complaints).toEqual([]);
      },
    );
  });
}
