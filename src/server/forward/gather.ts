/**
 * Gather: chosen records, put next to each other in memory that many parcels share.
 *
 * WHY        A run of a few records is not worth a system call. They are copied once, for all
 *            channels with the same selection, one block behind the other in a buffer, so that a
 *            connection sends many blocks with one call.
 * OWNERSHIP  A buffer is held by each parcel that lies in it, by the cache of selections, and by
 *            the Gather that fills it; the last one to let go gives it back.
 * BOUNDS     How many buffers are held at once is the business of those who hold them: a channel
 *            holds CHANNEL_BUFFERS_MAX at most, a cache its own number.
 * INVARIANTS Bytes that somebody holds are never written again.
 * REFUSED    A buffer per block (a small selection would take 256 KiB); one filling buffer for all
 *            selections (a slow channel would hold memory that is mostly not its own).
 */
import { assert } from '../../toolkit/base/assert.ts';
import { PAGE_BYTES } from '../../toolkit/base/limits.ts';

/** A block's payload is smaller than a page of the arena, so that each selection fits. */
export const GATHER_BUFFER_BYTES = PAGE_BYTES;
/** Buffers that wait to be used again; more are left to the garbage collector. */
const FREE_BUFFERS_MAX = 16;

export class GatherBuffer {
  readonly bytes = new Uint8Array(new ArrayBuffer(GATHER_BUFFER_BYTES));
  used = 0;
  holders = 0;
  readonly #pool: GatherPool;

  constructor(pool: GatherPool) {
    this.#pool = pool;
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

/** Buffers of one forward worker. */
export class GatherPool {
  readonly #free: GatherBuffer[] = [];
  #count = 0;

  /** Buffers that are held. */
  get heldCount(): number {
    return this.#count - this.#free.length;
  }

  /** An empty buffer, held once. */
  take(): GatherBuffer {
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

  /** A buffer with room for `bytes` from `used` on; whoever writes there moves `used`. */
  room(bytes: number): GatherBuffer {
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
