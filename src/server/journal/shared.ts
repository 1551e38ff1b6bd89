/**
 * Journal words: what the journal tells the other threads, besides the ring.
 *
 * LAYOUT      float64 words, one writer each, 128 bytes apart (positions exceed 32 bits):
 *               0 published position   journal    end of the last published block
 *               1 published ordinal    journal    ordinal after its last record
 *               2 synced position      keeper     fdatasync has covered everything below
 *               3 sync request         store      must be on disk; then the keeper is woken
 *               4 consumed position    store      end of the last committed block: retention's end
 *               5 journal bytes        keeper     bytes of all segment files
 *               6 segments             keeper
 *               7 forward position     forwarder  lowest position that a channel holds; at start
 *                                                 the main thread; POSITION_MAX: nobody holds
 *             int32 words: current fd + 1 (journal). The forwarder's sleep: forward-sleep.ts.
 * MEMORY ORDER Aligned 8-byte stores are single instructions; the journal stores words 0 and 1
 *             before the ring's Atomics.store, so a reader that got a slot sees at least its
 *             position; likewise before that of forward-sleep.ts.
 */
import { CACHE_LINE_PAIR_BYTES, POSITION_MAX } from '../../toolkit/base/limits.ts';

const STRIDE = CACHE_LINE_PAIR_BYTES / 8;
const PUBLISHED_POSITION = 0;
const PUBLISHED_ORDINAL = STRIDE;
const SYNCED_POSITION = 2 * STRIDE;
const SYNC_REQUEST = 3 * STRIDE;
const CONSUMED_POSITION = 4 * STRIDE;
const DISK_BYTES = 5 * STRIDE;
const SEGMENT_COUNT = 6 * STRIDE;
const FORWARD_POSITION = 7 * STRIDE;
const WORD_COUNT = 8 * STRIDE;
const FD_WORD = 0;
const FORWARD_SLEEP_BYTES = 2 * CACHE_LINE_PAIR_BYTES;

/** What travels to workers. */
export interface JournalSharedHandle {
  readonly words: SharedArrayBuffer;
  readonly fd: SharedArrayBuffer;
  /** Words of forward-sleep.ts. */
  readonly forwardSleep: SharedArrayBuffer;
}

export class JournalShared {
  readonly handle: JournalSharedHandle;
  readonly #words: Float64Array;
  readonly #fd: Int32Array;

  constructor(handle: JournalSharedHandle) {
    this.handle = handle;
    this.#words = new Float64Array(handle.words);
    this.#fd = new Int32Array(handle.fd);
  }

  static create(): JournalShared {
    const shared = new JournalShared({
      words: new SharedArrayBuffer(WORD_COUNT * 8),
      fd: new SharedArrayBuffer(4),
      forwardSleep: new SharedArrayBuffer(FORWARD_SLEEP_BYTES),
    });
    shared.forwardPosition = POSITION_MAX;
    return shared;
  }

  get publishedPosition(): number {
    return this.#words[PUBLISHED_POSITION]!;
  }

  get publishedOrdinal(): number {
    return this.#words[PUBLISHED_ORDINAL]!;
  }

  /** Journal only, after the append. */
  publish(position: number, ordinal: number): void {
    this.#words[PUBLISHED_POSITION] = position;
    this.#words[PUBLISHED_ORDINAL] = ordinal;
  }

  get syncedPosition(): number {
    return this.#words[SYNCED_POSITION]!;
  }

  set syncedPosition(position: number) {
    this.#words[SYNCED_POSITION] = position;
  }

  get syncRequest(): number {
    return this.#words[SYNC_REQUEST]!;
  }

  set syncRequest(position: number) {
    this.#words[SYNC_REQUEST] = position;
  }

  get consumedPosition(): number {
    return this.#words[CONSUMED_POSITION]!;
  }

  set consumedPosition(position: number) {
    this.#words[CONSUMED_POSITION] = position;
  }

  /** Nothing at or above it may be removed below the cap; POSITION_MAX when nobody holds. */
  get forwardPosition(): number {
    return this.#words[FORWARD_POSITION]!;
  }

  set forwardPosition(position: number) {
    this.#words[FORWARD_POSITION] = position;
  }

  get diskBytes(): number {
    return this.#words[DISK_BYTES]!;
  }

  get segmentCount(): number {
    return this.#words[SEGMENT_COUNT]!;
  }

  /** Keeper only. */
  setDisk(bytes: number, segments: number): void {
    this.#words[DISK_BYTES] = bytes;
    this.#words[SEGMENT_COUNT] = segments;
  }

  /** fd of the segment that is being written, or -1. */
  get currentFd(): number {
    return Atomics.load(this.#fd, FD_WORD) - 1;
  }

  /** Journal only. */
  set currentFd(fd: number) {
    Atomics.store(this.#fd, FD_WORD, fd + 1);
  }
}
