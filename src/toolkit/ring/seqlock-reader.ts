/**
 * SeqlockReader: a reading end of a SeqlockCell, where protocol and invariants stand.
 *
 * OWNERSHIP  Any number a cell; each belongs to one thread. It writes nothing that is shared.
 * PROGRESS   every method is wait-free: read() makes at most SEQLOCK_READ_ATTEMPTS attempts.
 */
import { assert } from '../base/assert.ts';
import { copyFloats, copyInts } from './copy-items.ts';
import type { SeqlockCellHandle } from './seqlock-cell.ts';
import { SEQLOCK_BUSY, seqlockRead } from './seqlock-kernel.ts';
import { SEQLOCK_BASE_WORD } from './seqlock-layout.ts';
import { ITEM_BYTES, type ItemKind, type SlotArrays } from './spsc-handle.ts';

const BASE = SEQLOCK_BASE_WORD;

/**
 * Attempts of one read(). A write of eight words takes as long as ten looks at its version: who
 * fails so often meets a writer that has lost its CPU, and should idle.
 */
export const SEQLOCK_READ_ATTEMPTS = 64;

export class SeqlockReader<Kind extends ItemKind = 'int32'> {
  readonly handle: SeqlockCellHandle<Kind>;
  readonly #words: Int32Array;
  /** The copy under way, as int32 words and, where values are float64, as these. */
  readonly #halves: Int32Array;
  readonly #floats: Float64Array | null;
  #version = -1;

  constructor(handle: SeqlockCellHandle<Kind>) {
    const { buffer, item, length } = handle;
    this.handle = handle;
    this.#words = new Int32Array(buffer);
    this.#halves = new Int32Array((length * ITEM_BYTES[item]) / 4);
    this.#floats = item === 'float64' ? new Float64Array(this.#halves.buffer) : null;
  }

  /** Version of the record that was read last, u32; -1 before the first. */
  get version(): number {
    return this.#version;
  }

  /** There is another record than the one read last, or one is being written. */
  hasChanged(): boolean {
    return Atomics.load(this.#words, BASE) >>> 0 !== this.#version;
  }

  /**
   * One attempt to copy the record to the start of `into`. False: the writer was in the middle,
   * and `into` is as it was.
   */
  tryRead(into: SlotArrays[Kind]): boolean {
    const halves = this.#halves;
    const { length } = this.handle;
    assert(into.length >= length, 'a record is read whole');
    const version = seqlockRead(this.#words, BASE, halves, 0, halves.length);
    if (version === SEQLOCK_BUSY) return false;
    this.#version = version >>> 0;
    const floats = this.#floats;
    if (floats !== null) copyFloats(into as Float64Array, 0, floats, 0, length);
    else copyInts(into as Int32Array, 0, halves, 0, length);
    return true;
  }

  /** Up to `attempts` of tryRead. */
  read(into: SlotArrays[Kind], attempts = SEQLOCK_READ_ATTEMPTS): boolean {
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (this.tryRead(into)) return true;
    }
    return false;
  }
}
