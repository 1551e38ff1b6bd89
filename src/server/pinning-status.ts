/**
 * Pinning status: what the snapshot says of workers and CPUs; plain data.
 */
// Not by the door: the page's program shares this file, and the door reads files.
import { CPU_PROBLEMS } from '../toolkit/cpu/cpu-error.ts';

/**
 * Why a thread does not run where it was to run. Besides the kinds of `millrace/cpu`: `shared`
 * (auto: the audit said no), `waiting` (auto: a pinned worker had to wait, all are let go),
 * `changed` (somebody else set another mask: it is left alone), `memory` (the node of the arena was
 * refused), `error` (anything unexpected).
 */
export const FALLBACK_REASONS = [
  ...CPU_PROBLEMS,
  'shared',
  'waiting',
  'changed',
  'memory',
  'error',
] as const;

export type FallbackReason = (typeof FALLBACK_REASONS)[number];

/** `watching`: auto looks at the CPUs; `letGo`: auto had pinned, and took it back. */
export const PINNING_STATES = ['off', 'watching', 'pinned', 'notPinned', 'letGo'] as const;

export type PinningState = (typeof PINNING_STATES)[number];

export interface PinnedThread {
  /** role-index, `main` or `helpers`. */
  readonly name: string;
  /** As "2" or "0-1"; '': not pinned. */
  readonly cpus: string;
  /** Of the last 10 s, the part in which it could run and had no CPU; null: not known. */
  readonly waitFraction: number | null;
}

export interface PinningStatus {
  readonly mode: 'auto' | 'off' | 'explicit';
  readonly state: PinningState;
  /** What the last decision rests on, in words; empty for `off`. */
  readonly reasons: readonly string[];
  /** All workers; `main` and `helpers` where they are pinned. */
  readonly threads: readonly PinnedThread[];
  /** Where the arena's memory comes from, in words. */
  readonly memory: string;
  /** Threads pinned so far, again after a restart included. */
  readonly pins: number;
  /** Masks of helper threads changed so far. */
  readonly helperMasks: number;
  /** reason -> times. */
  readonly fallbacks: Readonly<Record<FallbackReason, number>>;
}
