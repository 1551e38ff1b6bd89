/**
 * Memory-corruption guard: who writes into my memory?
 *
 * Pages that hold data are write-protected; the processor stops the culprit in the act, and the
 * report names its thread, its native stack and its JavaScript stack. x86-64 Linux.
 */

export { culprits, type GuardCulprit } from './culprits.ts';
export {
  Guard,
  type GuardHandle,
  type GuardMode,
  type ProtectOptions,
  protect,
  unprotect,
} from './guard.ts';
export { GuardError, type GuardErrorCode } from './guard-error.ts';
export { type AllocGuardedOptions, allocGuarded, type GuardedBuffer } from './guarded-buffer.ts';
export type { Guardable, WasmMemory } from './guarded-bytes.ts';
export {
  CODE_TIERS,
  type CodeTier,
  exactStackFlags,
  type JsNames,
  PERF_MAP_FLAGS,
} from './js-names.ts';
export { nameByPerfMap, readPerfMap } from './perf-map.ts';
export {
  culpritOf,
  type GuardFrame,
  type GuardFrameNote,
  type GuardReport,
  parseReport,
  parseReports,
} from './report.ts';
export {
  onReport,
  type ReportListener,
  type ReportSubscription,
  reports,
  setReportFile,
} from './reports.ts';
export { exactStacks, type GuardFeature, type GuardStatus, guardStatus } from './status.ts';
export { nameThread } from './thread-name.ts';
export { WATCH_BYTES_MAX, type Watch, type WatchOptions, watch } from './watch.ts';
