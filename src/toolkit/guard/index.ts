/**
 * Memory-corruption guard: who writes into my memory?
 */

export { GuardError, type GuardErrorCode } from './guard-error.ts';
export type { GuardFunctions } from './native.ts';
export {
  culpritOf,
  type GuardFrame,
  type GuardFrameNote,
  type GuardReport,
  parseReport,
  parseReports,
} from './report.ts';
