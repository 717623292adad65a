import type { Fault } from "./fault";

/** The table for docs/faults.md. Faults with the same texts share a row. */
export function faultPage(faults: readonly Fault[]): string {
  const namesOf = new Map<string, string[]>();
  for (const { name, happens, answer, leaves, extensions } of faults) {
    const only = extensions?.length === 1 ? ` (${extensions.join()} only)` : "";
    const left = leaves === undefined ? "" : `<br>Left: ${leaves}.`;
    const texts = `${only} | ${happens} | ${answer}${left} |`;
    namesOf.set(texts, [...(namesOf.get(texts) ?? []), name]);
  }
  return [
    "| Fault | What happens | What the function does |",
    "| --- | --- | --- |",
    ...[...namesOf].map(([texts, names]) => `| ${names.join("<br>")}${texts}`),
  ].join("\n");
}
