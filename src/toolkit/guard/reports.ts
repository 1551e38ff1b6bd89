/**
 * The reports of this process, for the program itself: the last 64, and those to come.
 *
 * WHY         The faulting thread writes its report into memory that every thread can read, and
 *             goes on; a listener must not slow it, so listeners look at intervals.
 * LIMITS      The ring keeps 64 reports: who looks too rarely misses some, and is told how many.
 *             All of them are in the report file.
 */
import { guardError } from './guard-error.ts';
import { type GuardFunctions, guardNative } from './native.ts';
import { type GuardReport, parseReport } from './report.ts';
import { checkReportFile } from './report-file.ts';

const REPORTS_KEPT = 64;
const REPORT_BYTES_MAX = 32_768;
const POLL_MS = 50;

const buffer = new Uint8Array(REPORT_BYTES_MAX);
const decoder = new TextDecoder();

/** The last reports of the process, the oldest first: 64 at most. */
export function reports(): GuardReport[] {
  const native = guardNative();
  const last = native.lastReport();
  const found: GuardReport[] = [];
  for (let seq = Math.max(1, last - REPORTS_KEPT + 1); seq <= last; seq++) {
    const report = takeReport(native, seq);
    if (report !== null) found.push(report);
  }
  return found;
}

function takeReport(native: GuardFunctions, seq: number): GuardReport | null {
  const bytes = native.takeReport(buffer, 0, buffer.length, seq);
  return bytes > 0 ? parseReport(decoder.decode(buffer.subarray(0, bytes))) : null;
}

/** `missed`: reports before this one that were gone before the listener could see them. */
export type ReportListener = (report: GuardReport, missed: number) => void;

export interface ReportSubscription {
  /** Hands over what is there now, and listens no more. */
  readonly end: () => void;
}

/**
 * Calls the listener for each report from now on, of any thread of the process, at most 50 ms after
 * it was written and while this thread's event loop turns; what is left when the thread ends by
 * itself, then. Does not keep the process alive.
 */
export function onReport(listener: ReportListener): ReportSubscription {
  const native = guardNative();
  let seen = native.lastReport();
  const deliver = () => {
    const last = native.lastReport();
    let missed = Math.max(0, last - REPORTS_KEPT - seen);
    for (let seq = seen + missed + 1; seq <= last; seq++) {
      seen = seq;
      const report = takeReport(native, seq);
      if (report === null) {
        missed++;
      } else {
        listener(report, missed);
        missed = 0;
      }
    }
  };
  const timer = setInterval(deliver, POLL_MS);
  timer.unref();
  process.on('exit', deliver);
  return {
    end: () => {
      clearInterval(timer);
      process.off('exit', deliver);
      deliver();
    },
  };
}

/**
 * Appends every report as a line of JSON to this file from now on; null: to none. The file is
 * opened now and kept open, since a fault may come when no file can be opened any more.
 */
export function setReportFile(path: string | null): void {
  const native = guardNative();
  if (path !== null) checkReportFile(path, 'setReportFile');
  const result = native.reportFile(path ?? '');
  if (result < 0) throw guardError(`report file ${path}`, result, native.problem());
}
