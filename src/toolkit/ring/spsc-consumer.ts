/**
 * SpscConsumer: the reading end of a SpscRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One consumer a ring, one thread. Between peek and release the peeked slots are its
 *            own; everything else it touches is in spsc-kernel.ts.
 * PROGRESS   every method is wait-free.
 */
import { assert } from '../base/assert.ts';
import { copyFloatsOut, copyIntsOut } from './copy-items.ts';
import {
  claimRole,
  closeRole,
  isClosable,
  isRoleGone,
  type RoleState,
  roleState,
} from './roles.ts';
import {
  type ItemKind,
  kernelOf,
  NO_SLOT,
  type SlotArrays,
  type SpscRingHandle,
  slotItemsOf,
  slotsOf,
} from './spsc-handle.ts';
import { spscAvailable, spscCredit, spscPopFloat, spscPopInt, spscRelease } from './spsc-kernel.ts';
import {
  SPSC_CONSUMER_WORD,
  SPSC_NEXT_READ_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_SLOTS_WORD,
  SPSC_WRITE_WORD,
} from './spsc-layout.ts';
import type { SpscPop } from './spsc-wasm.ts';
import { ViewCache } from './view-cache.ts';

const NEXT_READ = SPSC_NEXT_READ_WORD;

export class SpscConsumer<Kind extends ItemKind = 'int32'> {
  readonly handle: SpscRingHandle<Kind>;
  /** All slots; read between peek and release, at the index that peek returned. */
  readonly slots: SlotArrays[Kind];
  readonly #words: Int32Array;
  /** The slots, where they are of this kind. */
  readonly #floats: Float64Array | null;
  readonly #ints: Int32Array | null;
  /** The kernel in WebAssembly, where it is chosen. */
  readonly #pop: SpscPop | null;
  readonly #slotItems: number;
  readonly #mask: number;
  readonly #views: ViewCache<SlotArrays[Kind]>;
  #peeked = 0;
  #peekSeq = 0;

  /** Takes the role; see SpscRing.consumer. */
  constructor(handle: SpscRingHandle<Kind>) {
    const words = new Int32Array(handle.memory.buffer, 0, SPSC_SLOTS_WORD);
    claimRole(words, SPSC_CONSUMER_WORD);
    this.handle = handle;
    this.slots = slotsOf(handle);
    this.#words = words;
    this.#floats = this.slots instanceof Float64Array ? this.slots : null;
    this.#ints = this.slots instanceof Int32Array ? this.slots : null;
    this.#slotItems = slotItemsOf(handle);
    this.#mask = handle.capacity - 1;
    this.#views = new ViewCache(this.slots);
    const kernel = kernelOf(handle);
    const isFloat = this.#floats !== null;
    this.#pop = kernel === null ? null : isFloat ? kernel.popFloat64 : kernel.popInt32;
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
    if (this.#slotItems !== 1) assert(false, 'tryPop is for slots of one item');
    if (this.#pop !== null) return this.#pop(whenEmpty);
    const floats = this.#floats;
    if (floats !== null) return spscPopFloat(this.#words, floats, whenEmpty);
    return spscPopInt(this.#words, this.#ints!, whenEmpty);
  }

  /** Pops items into [from, to) of `into`, whole slots. Returns how many items were popped. */
  popBatch(into: SlotArrays[Kind], from = 0, to = into.length): number {
    const words = this.#words;
    const slotItems = this.#slotItems;
    const wanted = slotItems === 1 ? to - from : Math.floor((to - from) / slotItems);
    const count = Math.min(wanted, spscAvailable(words, wanted));
    if (count <= 0) return 0;
    const slot = words[NEXT_READ]! & this.#mask;
    const first = Math.min(count, this.#mask + 1 - slot);
    this.#copy(into, from, slot * slotItems, first * slotItems);
    if (count > first) {
      this.#copy(into, from + first * slotItems, 0, (count - first) * slotItems);
    }
    spscRelease(words, count);
    return count * slotItems;
  }

  /**
   * Looks at up to `limit` slots that lie one behind the other: `peeked` of them, at the returned
   * index of `slots`. NO_SLOT: the ring is empty. A peek gives nothing back and may be repeated.
   */
  peek(limit = 1): number {
    const words = this.#words;
    const available = spscAvailable(words, limit);
    const nextReadSeq = words[NEXT_READ]!;
    const slot = nextReadSeq & this.#mask;
    this.#peekSeq = nextReadSeq;
    this.#peeked = Math.min(limit, available, this.#mask + 1 - slot);
    return this.#peeked === 0 ? NO_SLOT : slot * this.#slotItems;
  }

  /** As peek, with a view of the slots (no copy); null when the ring is empty. */
  peekView(limit: number): SlotArrays[Kind] | null {
    const at = this.peek(limit);
    return at === NO_SLOT ? null : this.#views.view(at, at + this.#peeked * this.#slotItems);
  }

  /** The first `count` peeked slots are done with. */
  release(count = this.#peeked): void {
    const words = this.#words;
    assert(count >= 0 && count <= this.#peeked, 'no more is released than was peeked');
    assert(words[NEXT_READ] === this.#peekSeq, 'nothing is popped between');
    this.#peeked = 0;
    spscRelease(words, count);
  }

  /** Gives back what is read (creditEvery > 1). False: there was nothing. */
  flush(): boolean {
    return spscCredit(this.#words);
  }

  /** Slots that are published and neither popped nor released. */
  used(): number {
    const words = this.#words;
    return (Atomics.load(words, SPSC_WRITE_WORD) - words[NEXT_READ]!) | 0;
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
    return isRoleGone(this.#words, SPSC_PRODUCER_WORD);
  }

  /** Gives the role back, and all that was read. */
  close(): void {
    if (!isClosable(this.#words, SPSC_CONSUMER_WORD)) return;
    this.#peeked = 0;
    spscCredit(this.#words);
    closeRole(this.#words, SPSC_CONSUMER_WORD);
  }

  #copy(into: SlotArrays[Kind], at: number, from: number, count: number): void {
    const floats = this.#floats;
    if (floats !== null) {
      const views = this.#views as ViewCache<Float64Array>;
      copyFloatsOut(into as Float64Array, at, floats, views, from, count);
    } else {
      const views = this.#views as ViewCache<Int32Array>;
      copyIntsOut(into as Int32Array, at, this.#ints!, views, from, count);
    }
  }
}
