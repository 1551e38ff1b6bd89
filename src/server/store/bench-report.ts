/**
 * Bench report: what the stages of benchmarks say of themselves. They commit nothing and keep no
 * files, so all that a store counts besides records is 0.
 */
import type { SinkReport } from '../control.ts';

/** How often they say it. */
export const REPORT_EVERY_MS = 200;

type Counted = 'received' | 'delivered' | 'malformed' | 'tables' | 'committedPosition' | 'source';

export function benchReport(
  counted: Pick<SinkReport, Counted> & Partial<Pick<SinkReport, 'misfits'>>,
): SinkReport {
  return {
    pending: 0,
    filtered: 0,
    dropped: {},
    malformedByReason: {},
    oldestHeldMs: 0,
    evictions: 0,
    commits: 0,
    flushMs: 0,
    files: 0,
    invalidText: 0,
    misfits: 0,
    errors: 0,
    ...counted,
  };
}
