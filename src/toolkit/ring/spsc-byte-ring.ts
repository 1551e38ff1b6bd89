/**
 * SpscByteRing: messages of any length from one thread to one other.
 *
 * WHY          Log lines, commands and frames have no fixed size; slots for the largest would waste
 *              most of the ring.
 * LAYOUT       spsc-layout.ts. Payloads start at a multiple of 8 and lie in one piece.
 * OWNERSHIP    as SpscRing: one producer (spsc-byte-producer.ts), one consumer
 *              (spsc-byte-consumer.ts), and this object, which looks and gives up roles of the
 *              dead.
 * INVARIANTS   spsc-kernel.ts, spsc-byte-kernel.ts.
 * MEMORY ORDER spsc-kernel.ts.
 * PROGRESS     every method of every end is wait-free, but for what a callback of popBatch does.
 * REFUSED      messages longer than half of the ring less a header: one could wait for room that
 *              never comes, as padding and message together would not fit.
 */
import { assert } from '../base/assert.ts';
import type { SharedMemory } from '../base/webassembly.ts';
import type { Backend } from './backend.ts';
import { isPowerOfTwo } from './layout.ts';
import { SpscByteConsumer } from './spsc-byte-consumer.ts';
import { SpscByteProducer } from './spsc-byte-producer.ts';
import { SpscEnds } from './spsc-ends.ts';
import { initSpsc, MESSAGE_ALIGN_BYTES, SPSC_CONTROL_BYTES } from './spsc-layout.ts';
import { createMemory } from './wasm/kernels.ts';

export interface SpscByteRingOptions {
  /** Bytes of all messages with their headers; a power of two, 16 to 2^30. */
  readonly capacityBytes: number;
  /**
   * The producer publishes when so many bytes are written, when the ring is full, and on flush().
   * 1 = each message (the default).
   */
  readonly publishEveryBytes?: number;
  /**
   * The consumer gives room back when so many bytes are read, when the ring is empty, and on
   * flush(). 1 = each message. An eighth of the ring when nothing is said.
   */
  readonly creditEveryBytes?: number;
  readonly backend?: Backend;
  /** Tests: where sequences begin, so that they wrap soon; a multiple of 8. */
  readonly startSeq?: number;
}

/** What travels to workers, by workerData or postMessage. */
export interface SpscByteRingHandle {
  readonly memory: SharedMemory;
  readonly capacityBytes: number;
  readonly backend: Backend;
}

const CAPACITY_BYTES_MIN = 16;
const CAPACITY_BYTES_MAX = 2 ** 30;

export class SpscByteRing extends SpscEnds {
  readonly handle: SpscByteRingHandle;

  constructor(handle: SpscByteRingHandle) {
    super(handle.memory);
    this.handle = handle;
  }

  static create(options: SpscByteRingOptions): SpscByteRing {
    const { capacityBytes, publishEveryBytes = 1, startSeq = 0, backend = 'auto' } = options;
    const creditEveryBytes = options.creditEveryBytes ?? capacityBytes / 8;
    assert(isPowerOfTwo(capacityBytes), 'the capacity of a ring is a power of two');
    assert(
      capacityBytes >= CAPACITY_BYTES_MIN && capacityBytes <= CAPACITY_BYTES_MAX,
      'the capacity of a byte ring is between 16 bytes and 1 GiB',
    );
    assert(startSeq % MESSAGE_ALIGN_BYTES === 0, 'messages start at a multiple of 8');
    const memory = createMemory(SPSC_CONTROL_BYTES + capacityBytes);
    const bounds = {
      capacity: capacityBytes,
      publishEvery: Math.max(1, Math.min(publishEveryBytes, capacityBytes)),
      creditEvery: Math.max(1, Math.min(creditEveryBytes, capacityBytes)),
    };
    initSpsc(new Int32Array(memory.buffer), bounds, startSeq);
    return new SpscByteRing({ memory, capacityBytes, backend });
  }

  /** Takes the role of the writer for this thread. A second one is a bug, and asserted. */
  static producer(handle: SpscByteRingHandle): SpscByteProducer {
    return new SpscByteProducer(handle);
  }

  /** Takes the role of the reader for this thread. A second one is a bug, and asserted. */
  static consumer(handle: SpscByteRingHandle): SpscByteConsumer {
    return new SpscByteConsumer(handle);
  }

  /** Bytes that are published and not given back, headers and padding too, as any thread sees. */
  usedBytes(): number {
    return this.unread();
  }
}
