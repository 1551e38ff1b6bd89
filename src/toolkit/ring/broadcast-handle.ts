/**
 * Handle of a BroadcastRing: what writer and readers know of it.
 */
import type { SharedMemory } from '../base/webassembly.ts';

/** What travels to workers, by workerData or postMessage. */
export interface BroadcastRingHandle {
  readonly memory: SharedMemory;
  readonly capacity: number;
  readonly slotWords: number;
  readonly readerCount: number;
}

/**
 * Called once a slot, when no reader can touch what the slot refers to any more; the slot's words
 * stand at `index` of `words`. It must not throw, nor use the ring.
 */
export type BroadcastRelease = (words: Int32Array, index: number) => void;
