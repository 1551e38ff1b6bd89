/**
 * SeqlockCell: a small record, one writer, many readers that never see half of a change.
 *
 * WHY          What a stage knows of itself (a position and its time, a rate and its window) is
 *              read by others at any time; a lock would let a reader hold the writer up.
 * LAYOUT       seqlock-layout.ts; the record is `length` values of one kind.
 * OWNERSHIP    One writer (seqlock-writer.ts), claimed by compare-and-swap; any number of readers
 *              (seqlock-reader.ts), who claim nothing. This object looks, and gives up the role of
 *              a thread that died.
 * INVARIANTS   seqlock-kernel.ts.
 * MEMORY ORDER seqlock-kernel.ts.
 * PROGRESS     every method is wait-free. A read in the middle of a write is answered false; a
 *              reader of a record that is written without a pause may be answered so for ever.
 * REFUSED      records of kilobytes (a reader's copy lasts longer than the pause between writes:
 *              a ring is the right thing); named fields (a table of the caller's does it).
 * SOURCE       seqlock-kernel.ts.
 */
import { assert } from '../base/assert.ts';
import { abandonRole, type RoleState, roleState } from './roles.ts';
import {
  SEQLOCK_BASE_WORD,
  SEQLOCK_RECORD,
  SEQLOCK_WRITER_WORD,
  seqlockBytes,
} from './seqlock-layout.ts';
import { SeqlockReader } from './seqlock-reader.ts';
import { SeqlockWriter } from './seqlock-writer.ts';
import { ITEM_BYTES, type ItemKind } from './spsc-handle.ts';

/** Values of a record, at most. */
export const SEQLOCK_LENGTH_MAX = 1024;

export interface SeqlockCellOptions<Kind extends ItemKind = 'int32'> {
  /** Values of the record: 1 to SEQLOCK_LENGTH_MAX. */
  readonly length: number;
  /** int32 when nothing is said. */
  readonly item?: Kind;
  /** Tests: the first version, so that it wraps soon; even. */
  readonly startVersion?: number;
}

/** What travels to workers, by workerData or postMessage. */
export interface SeqlockCellHandle<Kind extends ItemKind = 'int32'> {
  readonly buffer: SharedArrayBuffer;
  readonly item: Kind;
  readonly length: number;
}

export class SeqlockCell<Kind extends ItemKind = 'int32'> {
  readonly handle: SeqlockCellHandle<Kind>;
  readonly #words: Int32Array;

  constructor(handle: SeqlockCellHandle<Kind>) {
    this.handle = handle;
    this.#words = new Int32Array(handle.buffer, 0, SEQLOCK_BASE_WORD + SEQLOCK_RECORD);
  }

  /** A record of zeros, whole. */
  static create<Kind extends ItemKind = 'int32'>(
    options: SeqlockCellOptions<Kind>,
  ): SeqlockCell<Kind> {
    const { length, startVersion = 0 } = options;
    const item = options.item ?? ('int32' as Kind);
    assert(
      Number.isInteger(length) && length > 0 && length <= SEQLOCK_LENGTH_MAX,
      'the record of a cell has 1 to 1,024 values',
    );
    assert((startVersion & 1) === 0, 'the first version of a cell is even');
    const buffer = new SharedArrayBuffer(seqlockBytes((length * ITEM_BYTES[item]) / 4));
    new Int32Array(buffer)[SEQLOCK_BASE_WORD] = startVersion;
    return new SeqlockCell({ buffer, item, length });
  }

  /** Takes the role of the writer for this thread. A second one is a bug, and asserted. */
  static writer<Kind extends ItemKind>(handle: SeqlockCellHandle<Kind>): SeqlockWriter<Kind> {
    return new SeqlockWriter(handle);
  }

  static reader<Kind extends ItemKind>(handle: SeqlockCellHandle<Kind>): SeqlockReader<Kind> {
    return new SeqlockReader(handle);
  }

  /** u32; grows by 2 for each write, odd while one goes on. */
  get version(): number {
    return Atomics.load(this.#words, SEQLOCK_BASE_WORD) >>> 0;
  }

  writerState(): RoleState {
    return roleState(this.#words, SEQLOCK_WRITER_WORD);
  }

  /**
   * The last writer died in the middle of a write: readers are answered false until the next
   * writer has written. Meaningful while nobody holds the role.
   */
  isTorn(): boolean {
    return (this.version & 1) !== 0;
  }

  /**
   * For who learns that the thread of the writer has ended (`exit` of its Worker). False: nobody
   * held the role.
   */
  abandonWriter(): boolean {
    return abandonRole(this.#words, SEQLOCK_WRITER_WORD);
  }
}
