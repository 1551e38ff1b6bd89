/**
 * Gather: chosen records, put next to each other in memory that many parcels share.
 *
 * WHY        A run of a few records is not worth a system call. They are copied once, for all
 *            channels with the same selection, one block behind the other in a buffer, so that a
 *            connection sends many blocks with one call.
 * OWNERSHIP  A buffer is held by each parcel that lies in it, by the cache of selections, and by
 *            the Gather that fills it; the last one to let go gives it back.
 * BOUNDS     GATHER_BUFFERS_MAX of a worker. A small parcel holds a whole buffer, and a receiver
 *            that has stopped holds its parcels for ever: so a channel that holds
 *            CHANNEL_BUFFERS_MAX takes no more once the pool is tight, which leaves as many to each
 *            of a hundred others. A cache gives up all that it holds before a take is refused.
 * INVARIANTS Bytes that somebody holds are never written again.
 * REFUSED    A buffer per block (a small selection would take 256 KiB); one filling buffer for all
 *            selections (a slow channel would hold memory that is mostly not its own).
 */
import { assert } from '../../toolkit/base/assert.ts';
import { PAGE_BYTES } from '../../toolkit/base/limits.ts';

/** A block's payload is smaller than a page of the arena, so that each selection fits. */
export const GATHER_BUFFER_BYTES = PAGE_BYTES;
/** 256 MiB. */
export const GATHER_BUFFERS_MAX = 1024;
/** 1 MiB of each channel is its own; beyond, all take from the first half of the pool. */
export const CHANNEL_BUFFERS_MAX = 4;
/** Buffers that wait to be used again; more are left to the garbage collector. */
const FREE_BUFFERS_MAX = 16;

/** Shorter pieces are copied word by word: a view for set() costs more, and an object each. */
const WORDS_BELOW_BYTES = 400;
const WORD_BYTES = 4;

/** Bytes, and a view over the same memory from its start: BlockPayload. */
interface Viewed {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export class GatherBuffer {
  readonly bytes = new Uint8Array(new ArrayBuffer(GATHER_BUFFER_BYTES));
  readonly #view = new DataView(this.bytes.buffer);
  used = 0;
  holders = 0;
  readonly #pool: GatherPool;

  constructor(pool: GatherPool) {
    this.#pool = pool;
  }

  /** Copies `length` bytes of `from` behind what is here; there is room for them. */
  append({ bytes, view }: Viewed, offset: number, length: number): void {
    const at = this.used;
    this.used += length;
    if (length >= WORDS_BELOW_BYTES) {
      this.bytes.set(bytes.subarray(offset, offset + length), at);
      return;
    }
    const into = this.#view;
    const words = length - (length % (4 * WORD_BYTES));
    let i = 0;
    for (; i < words; i += 4 * WORD_BYTES) {
      into.setInt32(at + i, view.getInt32(offset + i));
      into.setInt32(at + i + 4, view.getInt32(offset + i + 4));
      into.setInt32(at + i + 8, view.getInt32(offset + i + 8));
      into.setInt32(at + i + 12, view.getInt32(offset + i + 12));
    }
    for (; i < length; i++) this.bytes[at + i] = bytes[offset + i]!;
  }

  retain(): void {
    this.holders++;
  }

  release(): void {
    this.holders--;
    assert(this.holders >= 0, 'a gather buffer is let go as often as it is held');
    if (this.holders === 0) this.#pool.giveBack(this);
  }
}

/** Who holds buffers only so as not to work something out again. */
export interface GatherCache {
  clear(): void;
}

/** Buffers of one forward worker. */
export class GatherPool {
  readonly buffersMax: number;
  readonly #free: GatherBuffer[] = [];
  readonly #caches = new Set<GatherCache>();
  #count = 0;

  constructor(buffersMax = GATHER_BUFFERS_MAX) {
    this.buffersMax = buffersMax;
  }

  /** Buffers that are held. */
  get heldCount(): number {
    return this.#count - this.#free.length;
  }

  /** What is left is for channels that hold little. */
  get isTight(): boolean {
    return this.heldCount >= this.buffersMax / 2;
  }

  /** Caches may hold many: they do not make the pool tight. */
  get isRoomy(): boolean {
    return this.heldCount < this.buffersMax / 4;
  }

  /** Is cleared when there is no buffer left. */
  addCache(cache: GatherCache): void {
    this.#caches.add(cache);
  }

  removeCache(cache: GatherCache): void {
    this.#caches.delete(cache);
  }

  /** An empty buffer, held once; null: all are held. */
  take(): GatherBuffer | null {
    if (this.heldCount >= this.buffersMax) for (const cache of this.#caches) cache.clear();
    if (this.heldCount >= this.buffersMax) return null;
    let buffer = this.#free.pop();
    if (buffer === undefined) {
      buffer = new GatherBuffer(this);
      this.#count++;
    }
    buffer.used = 0;
    buffer.holders = 1;
    return buffer;
  }

  giveBack(buffer: GatherBuffer): void {
    if (this.#free.length < FREE_BUFFERS_MAX) this.#free.push(buffer);
    else this.#count--;
  }
}

/** Fills one buffer after the other. */
export class Gather {
  readonly #pool: GatherPool;
  #filling: GatherBuffer | null = null;

  constructor(pool: GatherPool) {
    this.#pool = pool;
  }

  get pool(): GatherPool {
    return this.#pool;
  }

  /**
   * A buffer with room for `bytes` from `used` on; whoever writes there moves `used`. Null: the
   * pool has none.
   */
  room(bytes: number): GatherBuffer | null {
    assert(bytes <= GATHER_BUFFER_BYTES, 'a selection fits into a buffer');
    if (this.#filling !== null && this.#filling.used + bytes <= GATHER_BUFFER_BYTES) {
      return this.#filling;
    }
    this.close();
    this.#filling = this.#pool.take();
    return this.#filling;
  }

  /** Lets go of the buffer that is being filled. */
  close(): void {
    this.#filling?.release();
    this.#filling = null;
  }
}

/** The buffers that one channel holds by its parcels. */
export class HeldBuffers {
  readonly #pool: Pick<GatherPool, 'isTight'>;
  /** Parcels in each, by its bytes. */
  readonly #parcels = new Map<Uint8Array, number>();

  constructor(pool: Pick<GatherPool, 'isTight'>) {
    this.#pool = pool;
  }

  /** The channel waits until one of its parcels is settled. */
  get isFull(): boolean {
    return this.#parcels.size >= CHANNEL_BUFFERS_MAX && this.#pool.isTight;
  }

  add(bytes: Uint8Array): void {
    this.#parcels.set(bytes, (this.#parcels.get(bytes) ?? 0) + 1);
  }

  remove(bytes: Uint8Array): void {
    const parcels = this.#parcels.get(bytes)! - 1;
    if (parcels === 0) this.#parcels.delete(bytes);
    else this.#parcels.set(bytes, parcels);
  }
}
