/**
 * SpscProducer: the writing end of a SpscRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One producer a ring, one thread. Between claim and commit the claimed slots are its
 *            own; everything else it touches is in spsc-kernel.ts.
 * PROGRESS   every method is wait-free.
 */
import { assert } from '../base/assert.ts';
import { copyFloats, copyInts } from './copy-items.ts';
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
import { spscCommit, spscPublish, spscPushFloat, spscPushInt, spscRoom } from './spsc-kernel.ts';
import {
  SPSC_CONSUMER_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_READ_WORD,
  SPSC_SLOTS_WORD,
} from './spsc-layout.ts';
import type { SpscCommit, SpscPush } from './spsc-wasm.ts';
import { ViewCache } from './view-cache.ts';

const NEXT_WRITE = SPSC_NEXT_WRITE_WORD;

export class SpscProducer<Kind extends ItemKind = 'int32'> {
  readonly handle: SpscRingHandle<Kind>;
  /** All slots; written between claim and commit, at the index that claim returned. */
  readonly slots: SlotArrays[Kind];
  readonly #words: Int32Array;
  /** The slots, where they are of this kind. */
  readonly #floats: Float64Array | null;
  readonly #ints: Int32Array | null;
  /** The kernel in WebAssembly, where it is chosen. */
  readonly #push: SpscPush | null;
  readonly #commit: SpscCommit | null;
  readonly #slotItems: number;
  readonly #mask: number;
  readonly #views: ViewCache<SlotArrays[Kind]>;
  #claimed = 0;
  #claimSeq = 0;

  /** Takes the role; see SpscRing.producer. */
  constructor(handle: SpscRingHandle<Kind>) {
    const words = new Int32Array(handle.memory.buffer, 0, SPSC_SLOTS_WORD);
    claimRole(words, SPSC_PRODUCER_WORD);
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
    this.#push = kernel === null ? null : isFloat ? kernel.pushFloat64 : kernel.pushInt32;
    this.#commit = kernel === null ? null : kernel.commit;
    // What a producer before this one had written and not published.
    spscPublish(words);
  }

  /** Slots that the last claim gave, and commit has not taken. */
  get claimed(): number {
    return this.#claimed;
  }

  /** Pushes one item into a ring whose slots are one item. False: the ring is full. */
  tryPush(value: number): boolean {
    if (this.#slotItems !== 1) assert(false, 'tryPush is for slots of one item');
    if (this.#push !== null) return this.#push(value) !== 0;
    const floats = this.#floats;
    if (floats !== null) return spscPushFloat(this.#words, floats, value);
    return spscPushInt(this.#words, this.#ints!, value);
  }

  /**
   * Pushes the items [from, to) of `items` as far as there is room; they fill whole slots. Returns
   * how many items were pushed.
   */
  pushBatch(items: SlotArrays[Kind], from = 0, to = items.length): number {
    const words = this.#words;
    const slotItems = this.#slotItems;
    const wanted = slotItems === 1 ? to - from : (to - from) / slotItems;
    assert(Number.isInteger(wanted), 'a batch fills whole slots');
    const capacity = this.#mask + 1;
    const room = spscRoom(words, Math.min(wanted, capacity));
    const count = Math.min(wanted, room);
    if (count <= 0) return 0;
    const slot = words[NEXT_WRITE]! & this.#mask;
    const first = Math.min(count, capacity - slot);
    this.#copy(slot * slotItems, items, from, first * slotItems);
    if (count > first) {
      this.#copy(0, items, from + first * slotItems, (count - first) * slotItems);
    }
    if (this.#commit === null) spscCommit(words, count);
    else this.#commit(count);
    return count * slotItems;
  }

  /**
   * Reserves up to `count` slots that lie one behind the other: `claimed` of them, at the returned
   * index of `slots`. NO_SLOT: the ring is full. Fewer than asked at the end of the array, or when
   * the ring is nearly full. A claim without commit shows nothing; the next one replaces it.
   */
  claim(count = 1): number {
    const words = this.#words;
    const room = spscRoom(words, count);
    const nextWriteSeq = words[NEXT_WRITE]!;
    const slot = nextWriteSeq & this.#mask;
    this.#claimSeq = nextWriteSeq;
    this.#claimed = Math.max(0, Math.min(count, room, this.#mask + 1 - slot));
    return this.#claimed === 0 ? NO_SLOT : slot * this.#slotItems;
  }

  /** As claim, with a view of the claimed slots (no copy); null when the ring is full. */
  claimView(count: number): SlotArrays[Kind] | null {
    const at = this.claim(count);
    if (at === NO_SLOT) return null;
    return this.#views.view(at, at + this.#claimed * this.#slotItems);
  }

  /** The first `count` claimed slots are written; the claim ends. */
  commit(count = this.#claimed): void {
    const words = this.#words;
    assert(count >= 0 && count <= this.#claimed, 'no more is committed than was claimed');
    assert(words[NEXT_WRITE] === this.#claimSeq, 'nothing is pushed between claim and commit');
    this.#claimed = 0;
    if (this.#commit === null) spscCommit(words, count);
    else this.#commit(count);
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
    return (words[NEXT_WRITE]! - Atomics.load(words, SPSC_READ_WORD)) | 0;
  }

  peerState(): RoleState {
    return roleState(this.#words, SPSC_CONSUMER_WORD);
  }

  /** The consumer has closed or its thread has died: nobody will make room. */
  isPeerGone(): boolean {
    return isRoleGone(this.#words, SPSC_CONSUMER_WORD);
  }

  /** Publishes all and gives the role back: the consumer can read to the end. */
  close(): void {
    if (!isClosable(this.#words, SPSC_PRODUCER_WORD)) return;
    this.#claimed = 0;
    spscPublish(this.#words);
    closeRole(this.#words, SPSC_PRODUCER_WORD);
  }

  #copy(at: number, items: SlotArrays[Kind], from: number, count: number): void {
    const floats = this.#floats;
    if (floats !== null) copyFloats(floats, at, items as Float64Array, from, count);
    else copyInts(this.#ints!, at, items as Int32Array, from, count);
  }
}
