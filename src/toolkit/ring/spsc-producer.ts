/**
 * SpscProducer: the writing end of a SpscRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One producer a ring, one thread. Between claim and commit the claimed slots are its
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
import { spscCommit, spscPublish, spscRoom } from './spsc-kernel.ts';
import {
  SPSC_CONSUMER_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_READ_WORD,
  SPSC_SLOTS_WORD,
} from './spsc-layout.ts';
import { SPSC_WAT, type SpscKernel } from './spsc-wasm.ts';
import { ViewCache } from './view-cache.ts';
import { loadKernel } from './wasm/kernels.ts';

/** Where publications are this rare, JavaScript without a call wins (bench/ring). */
const RARE_PUBLISH_EVERY = 8;
/** The ring begins at the first byte of its memory. */
const RING_BYTE = 0;

export class SpscProducer<Kind extends ItemKind = 'int32'> {
  readonly handle: SpscRingHandle<Kind>;
  /** All slots; written between claim and commit, at the index that claim returned. */
  readonly slots: SlotArrays[Kind];
  readonly #words: Int32Array;
  readonly #floats: Float64Array | null;
  readonly #ints: Int32Array;
  readonly #kernel: SpscKernel | null;
  readonly #capacity: number;
  readonly #slotItems: number;
  readonly #publishEvery: number;
  readonly #views: ViewCache<SlotArrays[Kind]>;
  #claimed = 0;

  /** Takes the role; see SpscRing.producer. */
  constructor(handle: SpscRingHandle<Kind>) {
    const words = new Int32Array(handle.memory.buffer, 0, SPSC_SLOTS_WORD);
    claimRole(words, SPSC_PRODUCER_WORD);
    this.handle = handle;
    this.slots = slotsOf(handle);
    this.#words = words;
    this.#floats = this.slots instanceof Float64Array ? this.slots : null;
    this.#ints = this.slots instanceof Int32Array ? this.slots : new Int32Array(0);
    this.#capacity = handle.capacity;
    this.#slotItems = slotItemsOf(handle);
    this.#publishEvery = handle.publishEvery;
    this.#views = new ViewCache(this.slots);
    const preferred = handle.publishEvery < RARE_PUBLISH_EVERY ? 'wasm' : 'atomics';
    const backend = chooseBackend(handle.backend, preferred, handle.memory);
    this.#kernel = backend === 'wasm' ? loadKernel<SpscKernel>(SPSC_WAT, handle.memory) : null;
    // What a producer before this one had written and not published.
    spscPublish(words);
  }

  /** Slots that the last claim gave, and commit has not taken. */
  get claimed(): number {
    return this.#claimed;
  }

  /** Pushes one item into a ring whose slots are one item. False: the ring is full. */
  tryPush(value: number): boolean {
    assert(this.#slotItems === 1 && this.#claimed === 0, 'one item a slot, and no claim is open');
    const words = this.#words;
    const kernel = this.#kernel;
    const capacity = this.#capacity;
    const publishEvery = this.#publishEvery;
    const floats = this.#floats;
    if (kernel !== null) {
      return floats !== null
        ? kernel.pushFloat64(RING_BYTE, capacity, publishEvery, value) !== 0
        : kernel.pushInt32(RING_BYTE, capacity, publishEvery, value) !== 0;
    }
    if (spscRoom(words, capacity, 1) < 1) return false;
    const at = words[SPSC_NEXT_WRITE_WORD]! & (capacity - 1);
    if (floats !== null) floats[at] = value;
    else this.#ints[at] = value;
    spscCommit(words, 1, publishEvery);
    return true;
  }

  /**
   * Pushes the items [from, to) of `items` as far as there is room; they fill whole slots. Returns
   * how many items were pushed.
   */
  pushBatch(items: SlotArrays[Kind], from = 0, to = items.length): number {
    const words = this.#words;
    const capacity = this.#capacity;
    const slotItems = this.#slotItems;
    const wanted = (to - from) / slotItems;
    assert(Number.isInteger(wanted) && this.#claimed === 0, 'whole slots, and no claim is open');
    const room = spscRoom(words, capacity, Math.min(wanted, capacity));
    const count = Math.min(wanted, room);
    if (count <= 0) return 0;
    const slot = words[SPSC_NEXT_WRITE_WORD]! & (capacity - 1);
    const first = Math.min(count, capacity - slot);
    this.#copy(slot * slotItems, items, from, first * slotItems);
    if (count > first) {
      this.#copy(0, items, from + first * slotItems, (count - first) * slotItems);
    }
    spscCommit(words, count, this.#publishEvery);
    return count * slotItems;
  }

  /**
   * Reserves up to `count` slots that lie one behind the other: `claimed` of them, at the returned
   * index of `slots`. NO_SLOT: the ring is full. Fewer than asked at the end of the array, or when
   * the ring is nearly full. A claim without commit shows nothing; the next one replaces it.
   */
  claim(count = 1): number {
    const words = this.#words;
    const capacity = this.#capacity;
    const room = spscRoom(words, capacity, count);
    const slot = words[SPSC_NEXT_WRITE_WORD]! & (capacity - 1);
    this.#claimed = Math.max(0, Math.min(count, room, capacity - slot));
    return this.#claimed === 0 ? NO_SLOT : slot * this.#slotItems;
  }

  /** As claim, with a view of the claimed slots (no copy); null when the ring is full. */
  claimView(count: number): SlotArrays[Kind] | null {
    const at = this.claim(count);
    return at === NO_SLOT ? null : this.#views.view(at, this.#claimed * this.#slotItems);
  }

  /** The first `count` claimed slots are written; the claim ends. */
  commit(count = this.#claimed): void {
    assert(count >= 0 && count <= this.#claimed, 'no more is committed than was claimed');
    this.#claimed = 0;
    spscCommit(this.#words, count, this.#publishEvery);
  }

  /** The claim ends and nothing was written. */
  abort(): void {
    this.#claimed = 0;
  }

  /** Publishes what is written (publishEvery > 1). False: there was nothing. */
  flush(): boolean {
    return spscPublish(this.#words);
  }

  /** Slots that the consumer has not given back, the unpublished ones too. */
  used(): number {
    const words = this.#words;
    return (words[SPSC_NEXT_WRITE_WORD]! - Atomics.load(words, SPSC_READ_WORD)) | 0;
  }

  peerState(): RoleState {
    return roleState(this.#words, SPSC_CONSUMER_WORD);
  }

  /** The consumer has closed or its thread has died: nobody will make room. */
  isPeerGone(): boolean {
    const state = this.peerState();
    return state === 'closed' || state === 'abandoned';
  }

  /** Publishes all and gives the role back: the consumer can read to the end. */
  close(): void {
    this.#claimed = 0;
    spscPublish(this.#words);
    closeRole(this.#words, SPSC_PRODUCER_WORD);
  }

  #copy(at: number, items: SlotArrays[Kind], from: number, count: number): void {
    const floats = this.#floats;
    if (floats !== null) copyFloats(floats, at, items as Float64Array, from, count);
    else copyInts(this.#ints, at, items as Int32Array, from, count);
  }
}
