/** Every fault of the table, on AWS's runtime client, against a real MySQL server, in each way to get a SIGTERM. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FAULTS } from "./faults";
import { faultPage } from "./page";
import { runFaults, faultRunsOf } from "./fault-runs";
import { findProject } from "../functions/project";
import { bundleFaultHandler } from "./fault-handler";

const ROOT = join(__dirname, "../../..");
const CACHE = join(ROOT, "node_modules/.cache");

// Below the root, where the AWS SDK is found.
mkdirSync(CACHE, { recursive: true });
const scratch = mkdtempSync(join(CACHE, "faults-"));
const ours = { name: "this function", directory: scratch, handler: "index.handler", logsShutdown: true };
const faultRuns = faultRunsOf(ours, ["external", "internal"]);
/** Of about 120 runs, when other programs have the CPU. */
const PATIENCE = 24;
let played: Awaited<ReturnType<typeof runFaults>>;

beforeAll(async () => {
  await bundleFaultHandler(findProject(), scratch);
  // They are played two at a time, while the tests wait for their results one after the other.
  played = await runFaults(faultRuns, scratch, PATIENCE);
}, 120_000);

afterAll(async () => {
  await played.close();
  rmSync(scratch, { recursive: true, force: true });
}, 180_000);

test.each(faultRuns.map(({ fault, extension }, index) => [fault.name, extension, index] as const))(
  "%s, %s extension",
  async (_name, _extension, index) => {
    const result = await played.results[index];
    expect({ ...result, problems: result?.problems }).toMatchObject({ problems: [] });
  },
);

test("docs/faults.md has this table", () => {
  expect(readFileSync(join(ROOT, "docs/faults.md"), "utf8")).toContain(faultPage(FAULTS));
});
