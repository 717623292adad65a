import type { Fault } from "./fault";

/** The table for docs/faults.md. */
export function faultPage(faults: readonly Fault[]): string {
  const rows = faults.map(
    ({ name, happens, answer, leaves = "nothing", extensions = ["external", "internal"] }) =>
      `| ${name} | ${happens} | ${answer} | ${leaves} | ${extensions.join(", ")} |`,
  );
  return [
    "| Fault | What happens | What the function does | What is left on the server | Extension |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
