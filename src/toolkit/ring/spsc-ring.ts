/**
 * SpscRing: fixed slots from one thread to one other.
 *
 * WHY          A collector hands slices to the journal without a message, a copy or a lock.
 * LAYOUT       spsc-layout.ts; slot of sequence s is s & (capacity - 1). A slot is one item (int32
 *              or float64) or several of one kind.
 * OWNERSHIP    One producer (spsc-producer.ts) and one consumer (spsc-consumer.ts), each claimed by
 *              compare-and-swap. This object belongs to nobody: it looks, and gives up the role of
 *              a thread that died.
 * INVARIANTS   spsc-kernel.ts.
 * MEMORY ORDER spsc-kernel.ts.
 * PROGRESS     every method of every end is wait-free. Full and empty are answers.
 * REFUSED      waiting inside a method: waiting is the caller's policy (IdleStrategy);
 *              capacities that are no power of two (a division for each item).
 * SOURCE       L. Lamport 1977 (the ring of one reader and one writer); E. Rigtorp, SPSCQueue, and
 *              Lee, Bu, Chandranmenon 2010 (MCRingBuffer) for cached and lazily published indexes.
 */
import { assert } from '../base/assert.ts';
import type { Backend } from './backend.ts';
import { isPowerOfTwo } from './layout.ts';
import { SpscConsumer } from './spsc-consumer.ts';
import { SpscEnds } from './spsc-ends.ts';
import { ITEM_BYTES, type ItemKind, type SpscRingHandle } from './spsc-handle.ts';
import { initSpsc, SPSC_CONTROL_BYTES } from './spsc-layout.ts';
import { SpscProducer } from './spsc-producer.ts';
import { createMemory } from './wasm/kernels.ts';

export interface SpscRingOptions<Kind extends ItemKind = 'int32'> {
  /** Slots; a power of two. */
  readonly capacity: number;
  /** int32 when nothing is said. */
  readonly item?: Kind;
  /** A multiple of the item; one item when nothing is said. */
  readonly slotBytes?: number;
  /**
   * The producer publishes when so many slots are written, when the ring is full, and on flush().
   * 1 = each (the default).
   */
  readonly publishEvery?: number;
  /**
   * The consumer gives slots back when so many are read, when the ring is empty, and on flush().
   * 1 = each. An eighth of the ring when nothing is said.
   */
  readonly creditEvery?: number;
  readonly backend?: Backend;
  /** Tests: where sequences begin, so that they wrap soon. */
  readonly startSeq?: number;
}

/** An eighth: twice the throughput of batches of 64 against giving each batch back. */
const CREDIT_SHIFT = 3;

export class SpscRing<Kind extends ItemKind = 'int32'> extends SpscEnds {
  readonly handle: SpscRingHandle<Kind>;

  constructor(handle: SpscRingHandle<Kind>) {
    super(handle.memory);
    this.handle = handle;
  }

  static create<Kind extends ItemKind = 'int32'>(options: SpscRingOptions<Kind>): SpscRing<Kind> {
    const { capacity, publishEvery = 1, backend = 'auto' } = options;
    const item = options.item ?? ('int32' as Kind);
    const slotBytes = options.slotBytes ?? ITEM_BYTES[item];
    const creditEvery = options.creditEvery ?? capacity >> CREDIT_SHIFT;
    assert(isPowerOfTwo(capacity), 'the capacity of a ring is a power of two');
    assert(slotBytes > 0 && slotBytes % ITEM_BYTES[item] === 0, 'a slot holds whole items');
    const memory = createMemory(SPSC_CONTROL_BYTES + capacity * slotBytes);
    const bounds = {
      capacity,
      publishEvery: Math.max(1, Math.min(publishEvery, capacity)),
      creditEvery: Math.max(1, Math.min(creditEvery, capacity)),
    };
    initSpsc(new Int32Array(memory.buffer), bounds, options.startSeq ?? 0);
    return new SpscRing({ memory, item, slotBytes, backend, ...bounds });
  }

  /** Takes the role of the writer for this thread. A second one is a bug, and asserted. */
  static producer<Kind extends ItemKind>(handle: SpscRingHandle<Kind>): SpscProducer<Kind> {
    return new SpscProducer(handle);
  }

  /** Takes the role of the reader for this thread. A second one is a bug, and asserted. */
  static consumer<Kind extends ItemKind>(handle: SpscRingHandle<Kind>): SpscConsumer<Kind> {
    return new SpscConsumer(handle);
  }

  /** Slots that are published and not given back, as seen from any thread. */
  used(): number {
    return this.unread();
  }
}
