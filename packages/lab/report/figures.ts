import { faultFigure } from "./fault-figure";
import type { Figure } from "./figure";
import type { ReportData } from "./report-data";
import { shutdownFigure } from "./shutdown-figure";
import { stormFigure } from "./storm-figure";
import { timelineFigure } from "./timeline-figure";

/** Those for which something was measured. */
export function figuresOf({ runs, storms, faults }: ReportData): readonly Figure[] {
  return [
    ...(runs.length > 0 ? [timelineFigure(runs)] : []),
    ...(storms.length > 0 ? [stormFigure(storms), shutdownFigure(storms)] : []),
    ...(faults.length > 0 ? [faultFigure(faults)] : []),
  ];
}
