/**
 * SpscConsumer: the reading end of a SpscRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One consumer a ring, one thread. Between peek and release the peeked slots are its
 *            own; everything else it touches is in spsc-kernel.ts.
 * PROGRESS   every method is wait-free.
 */
import { assert } from '../base/assert.ts';
import { chooseBackend } from './backend.ts';
import { copyFloats, copyInts } from './copy-items.ts';
import { claimRole, closeRole, type RoleState, roleState } from './roles.ts';
import {
  type ItemKind,
  NO_SLOT,
  type SlotArrays,
  type SpscRingHandle,
  slotItemsOf,
  slotsOf,
} from './spsc-handle.ts';
import { spscAvailable, spscCredit, spscRelease } from './spsc-kernel.ts';
import {
  SPSC_CONSUMER_WORD,
  SPSC_NEXT_READ_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_SLOTS_WORD,
  SPSC_WRITE_WORD,
} from './spsc-layout.ts';
import { SPSC_WAT, type SpscKernel } from './spsc-wasm.ts';
import { ViewCache } from './view-cache.ts';
import { loadKernel } from './wasm/kernels.ts';

/** The ring begins at the first byte of its memory. */
const RING_BYTE = 0;

export class SpscConsumer<Kind extends ItemKind = 'int32'> {
  readonly handle: SpscRingHandle<Kind>;
  /** All slots; read between peek and release, at the index that peek returned. */
  readonly slots: SlotArrays[Kind];
  readonly #words: Int32Array;
  readonly #floats: Float64Array | null;
  readonly #ints: Int32Array;
  readonly #kernel: SpscKernel | null;
  readonly #capacity: number;
  readonly #slotItems: number;
  readonly #creditEvery: number;
  readonly #views: ViewCache<SlotArrays[Kind]>;
  #peeked = 0;

  /** Takes the role; see SpscRing.consumer. */
  constructor(handle: SpscRingHandle<Kind>) {
    const words = new Int32Array(handle.memory.buffer, 0, SPSC_SLOTS_WORD);
    claimRole(words, SPSC_CONSUMER_WORD);
    this.handle = handle;
    this.slots = slotsOf(handle);
    this.#words = words;
    this.#floats = this.slots instanceof Float64Array ? this.slots : null;
    this.#ints = this.slots instanceof Int32Array ? this.slots : new Int32Array(0);
    this.#capacity = handle.capacity;
    this.#slotItems = slotItemsOf(handle);
    this.#creditEvery = handle.creditEvery;
    this.#views = new ViewCache(this.slots);
    const backend = chooseBackend(handle.backend, 'wasm', handle.memory);
    this.#kernel = backend === 'wasm' ? loadKernel<SpscKernel>(SPSC_WAT, handle.memory) : null;
    // What a consumer before this one had read and not given back.
    spscCredit(words);
  }

  /** Slots that the last peek gave, and release has not taken. */
  get peeked(): number {
    return this.#peeked;
  }

  /**
   * Pops one item from a ring whose slots are one item; `whenEmpty` when there is none. NaN is no
   * int32; where NaN is sent through float64 slots, give another number or ask isEmpty() first.
   */
  tryPop(whenEmpty = Number.NaN): number {
    assert(this.#slotItems === 1, 'tryPop is for slots of one item');
    const words = this.#words;
    const kernel = this.#kernel;
    const capacity = this.#capacity;
    const creditEvery = this.#creditEvery;
    const floats = this.#floats;
    if (kernel !== null) {
      return floats !== null
        ? kernel.popFloat64(RING_BYTE, capacity, creditEvery, whenEmpty)
        : kernel.popInt32(RING_BYTE, capacity, creditEvery, whenEmpty);
    }
    if (spscAvailable(words, 1) < 1) return whenEmpty;
    const at = words[SPSC_NEXT_READ_WORD]! & (capacity - 1);
    const value = floats !== null ? floats[at]! : this.#ints[at]!;
    spscRelease(words, 1, creditEvery);
    return value;
  }

  /** Pops items into [from, to) of `into`, whole slots. Returns how many items were popped. */
  popBatch(into: SlotArrays[Kind], from = 0, to = into.length): number {
    const words = this.#words;
    const capacity = this.#capacity;
    const slotItems = this.#slotItems;
    const wanted = Math.floor((to - from) / slotItems);
    const count = Math.min(wanted, spscAvailable(words, wanted));
    if (count <= 0) return 0;
    const slot = words[SPSC_NEXT_READ_WORD]! & (capacity - 1);
    const first = Math.min(count, capacity - slot);
    this.#copy(into, from, slot * slotItems, first * slotItems);
    if (count > first) {
      this.#copy(into, from + first * slotItems, 0, (count - first) * slotItems);
    }
    spscRelease(words, count, this.#creditEvery);
    return count * slotItems;
  }

  /**
   * Looks at up to `limit` slots that lie one behind the other: `peeked` of them, at the returned
   * index of `slots`. NO_SLOT: the ring is empty. A peek gives nothing back and may be repeated.
   */
  peek(limit = 1): number {
    const words = this.#words;
    const capacity = this.#capacity;
    const available = spscAvailable(words, limit);
    const slot = words[SPSC_NEXT_READ_WORD]! & (capacity - 1);
    this.#peeked = Math.min(limit, available, capacity - slot);
    return this.#peeked === 0 ? NO_SLOT : slot * this.#slotItems;
  }

  /** As peek, with a view of the slots (no copy); null when the ring is empty. */
  peekView(limit: number): SlotArrays[Kind] | null {
    const at = this.peek(limit);
    return at === NO_SLOT ? null : this.#views.view(at, this.#peeked * this.#slotItems);
  }

  /** The first `count` peeked slots are done with. */
  release(count = this.#peeked): void {
    assert(count >= 0 && count <= this.#peeked, 'no more is released than was peeked');
    this.#peeked = 0;
    spscRelease(this.#words, count, this.#creditEvery);
  }

  /** Gives back what is read (creditEvery > 1). False: there was nothing. */
  flush(): boolean {
    return spscCredit(this.#words);
  }

  /** Slots that are published and neither popped nor released. */
  used(): number {
    const words = this.#words;
    return (Atomics.load(words, SPSC_WRITE_WORD) - words[SPSC_NEXT_READ_WORD]!) | 0;
  }

  isEmpty(): boolean {
    return this.used() === 0;
  }

  peerState(): RoleState {
    return roleState(this.#words, SPSC_PRODUCER_WORD);
  }

  /**
   * The producer has closed or its thread has died. What it had published is still there: look at
   * this first, then read until the ring is empty, and nothing is missed.
   */
  isPeerGone(): boolean {
    const state = this.peerState();
    return state === 'closed' || state === 'abandoned';
  }

  /** Gives the role back, and all that was read. */
  close(): void {
    this.#peeked = 0;
    spscCredit(this.#words);
    closeRole(this.#words, SPSC_CONSUMER_WORD);
  }

  #copy(into: SlotArrays[Kind], at: number, from: number, count: number): void {
    const floats = this.#floats;
    if (floats !== null) copyFloats(into as Float64Array, at, floats, from, count);
    else copyInts(into as Int32Array, at, this.#ints, from, count);
  }
}
