/**
 * Record runs: which records of a block are chosen, as runs of neighbours.
 *
 * WHY         What is forwarded of a block is sent run by run: neighbours that are chosen are one
 *             piece of memory or of a file. So nobody needs to know more than where runs begin.
 * LAYOUT      `entries[3 i ..]`: offset of the run's first byte (from the start of `bytes`), bytes,
 *             records.
 * OWNERSHIP   One object is filled again for each block, by one thread; its table grows and stays.
 */

import { FRAME_BYTES_MIN } from '../constants.ts';
import { BAD_PREFIX, frameLength } from '../frame.ts';
import type { RecordPredicate } from './ast.ts';

/** Numbers per run in `entries`. */
export const RECORD_RUN_STRIDE = 3;

export class RecordRuns {
  /** As the file head says; replaced by a longer one when it is full. */
  entries: Int32Array;
  runCount = 0;
  /** Records and bytes chosen. */
  records = 0;
  bytes = 0;
  /** Records looked at. */
  walked = 0;
  /** Bytes at the end of the block that are no whole record: 0, unless the block is damaged. */
  restBytes = 0;

  constructor(capacity = 256) {
    this.entries = new Int32Array(Math.max(1, capacity) * RECORD_RUN_STRIDE);
  }

  /** Sets everything to 0; the table stays. */
  clear(): void {
    this.runCount = 0;
    this.records = 0;
    this.bytes = 0;
    this.walked = 0;
    this.restBytes = 0;
  }

  /** Adds a run behind the others. */
  add(offset: number, bytes: number, records: number): void {
    const at = this.runCount * RECORD_RUN_STRIDE;
    if (at === this.entries.length) {
      const longer = new Int32Array(2 * at);
      longer.set(this.entries);
      this.entries = longer;
    }
    this.entries[at] = offset;
    this.entries[at + 1] = bytes;
    this.entries[at + 2] = records;
    this.runCount++;
    this.bytes += bytes;
    this.records += records;
  }
}

/**
 * Asks the predicate about each record of `bytes[offset .. offset + length)` and fills `runs` with
 * those that are chosen. Stops in front of bytes that are no whole record (`restBytes`).
 */
export function selectRuns(
  predicate: RecordPredicate,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  exporter: Uint8Array,
  runs: RecordRuns,
): RecordRuns {
  runs.clear();
  const end = offset + length;
  let at = offset;
  let walked = 0;
  let from = offset;
  let count = 0;
  while (end - at >= FRAME_BYTES_MIN) {
    const frameBytes = frameLength(bytes, at);
    if (frameBytes === BAD_PREFIX || frameBytes > end - at) break;
    walked++;
    if (predicate(bytes, view, at, frameBytes, exporter)) {
      if (count === 0) from = at;
      count++;
    } else if (count > 0) {
      runs.add(from, at - from, count);
      count = 0;
    }
    at += frameBytes;
  }
  if (count > 0) runs.add(from, at - from, count);
  runs.walked = walked;
  runs.restBytes = end - at;
  return runs;
}
