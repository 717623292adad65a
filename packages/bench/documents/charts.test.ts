/** The charts of the documents are drawn from the figures that are committed beside them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROOT } from "../project/markdown";

test("the charts are drawn from what was measured", () => {
  const drawn = mkdtempSync(path.join(tmpdir(), "charts-"));
  try {
    const data = path.join(ROOT, "docs/figures/measured.json");
    const options = ["report", "--data", data, "--svg", drawn, "--out", path.join(drawn, "page.html")];
    execFileSync(process.execPath, ["--import", "tsx", "packages/lab/cli/lab.ts", ...options], { cwd: ROOT });
    const charts = readdirSync(path.join(ROOT, "docs/figures")).filter((file) => /^(?!held).*\.svg$/.test(file));
    expect(charts).toContain("storm.svg");
    for (const chart of charts) {
      expect(readFileSync(path.join(ROOT, "docs/figures", chart), "utf8")).toBe(
        readFileSync(path.join(drawn, chart), "utf8"),
      );
    }
  } finally {
    rmSync(drawn, { recursive: true, force: true });
  }
});
