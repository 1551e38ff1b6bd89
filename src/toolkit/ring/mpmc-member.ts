/**
 * MpmcMember: one thread's way into a MpmcRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One member, one thread; a thread may be several. A member may push and pop.
 * PROGRESS   every method but close and used, which are wait-free: lock-free as mpmc-kernel.ts says
 *            it. No method waits.
 */
import type { SharedMemory } from '../base/webassembly.ts';
import { type Backend, chooseBackend } from './backend.ts';
import { mpmcReadFloats, mpmcReadInts, mpmcWriteFloats, mpmcWriteInts } from './mpmc-items.ts';
import {
  mpmcClaimPop,
  mpmcClaimPush,
  mpmcPopFloat,
  mpmcPopInt,
  mpmcPublish,
  mpmcPushFloat,
  mpmcPushInt,
  mpmcRelease,
} from './mpmc-kernel.ts';
import {
  MEMBER_KIND_WORD,
  MEMBER_ROLE_WORD,
  MPMC_POP_WORD,
  MPMC_PUSH_WORD,
  memberWord,
  NOTE_NONE,
} from './mpmc-layout.ts';
import { MPMC_WAT, type MpmcKernel, type MpmcPop, type MpmcPush } from './mpmc-wasm.ts';
import { closeRole, isClosable } from './roles.ts';
import type { ItemKind, SlotArrays } from './spsc-handle.ts';
import { loadKernel } from './wasm/kernels.ts';

/** What travels to workers, by workerData or postMessage. */
export interface MpmcRingHandle<Kind extends ItemKind = 'int32'> {
  readonly memory: SharedMemory;
  readonly capacity: number;
  readonly memberCount: number;
  readonly item: Kind;
  readonly backend: Backend;
}

/** Items between the first ticket's and the last one's, of which some may still be in the hands. */
export function mpmcUsed(words: Int32Array, capacity: number): number {
  const popSeq = Atomics.load(words, MPMC_POP_WORD);
  const pushSeq = Atomics.load(words, MPMC_PUSH_WORD);
  return Math.min(capacity, (pushSeq - popSeq) | 0);
}

export class MpmcMember<Kind extends ItemKind = 'int32'> {
  readonly handle: MpmcRingHandle<Kind>;
  /** Which member this is: what abandonMember of the ring is asked for. */
  readonly index: number;
  readonly #words: Int32Array;
  /** The whole ring, where its items are float64. */
  readonly #floats: Float64Array | null;
  readonly #line: number;
  readonly #lineBytes: number;
  /** The kernel in WebAssembly, where it is chosen. */
  readonly #kernel: MpmcKernel | null;
  readonly #push: MpmcPush | null;
  readonly #pop: MpmcPop | null;

  /** For MpmcRing.member, which has taken the role. */
  constructor(handle: MpmcRingHandle<Kind>, index: number) {
    const { memory, item } = handle;
    this.handle = handle;
    this.index = index;
    this.#words = new Int32Array(memory.buffer);
    this.#floats = item === 'float64' ? new Float64Array(memory.buffer) : null;
    this.#line = memberWord(index);
    this.#lineBytes = this.#line * 4;
    const isWasm = chooseBackend(handle.backend, 'wasm', memory) === 'wasm';
    const kernel = isWasm ? loadKernel<MpmcKernel>(MPMC_WAT, memory) : null;
    this.#kernel = kernel;
    const isFloat = this.#floats !== null;
    this.#push = kernel === null ? null : isFloat ? kernel.pushFloat64 : kernel.pushInt32;
    this.#pop = kernel === null ? null : isFloat ? kernel.popFloat64 : kernel.popInt32;
  }

  /**
   * Pushes one item. False: the ring is full; a reader in the middle of its step counts as full.
   */
  tryPush(value: number): boolean {
    if (this.#push !== null) return this.#push(this.#lineBytes, value) !== 0;
    const floats = this.#floats;
    if (floats !== null) return mpmcPushFloat(this.#words, floats, this.#line, value);
    return mpmcPushInt(this.#words, this.#line, value);
  }

  /**
   * Pops one item; `whenEmpty` when there is none; a writer in the middle of its step counts as
   * empty, and items behind its one too. NaN is no int32; where NaN is sent as float64, give
   * another number.
   */
  tryPop(whenEmpty = Number.NaN): number {
    if (this.#pop !== null) return this.#pop(this.#lineBytes, whenEmpty);
    const floats = this.#floats;
    if (floats !== null) return mpmcPopFloat(this.#words, floats, this.#line, whenEmpty);
    return mpmcPopInt(this.#words, this.#line, whenEmpty);
  }

  /**
   * Pushes the items [from, to) of `items` as far as there is room; they lie one behind the other.
   * Returns how many were pushed.
   */
  pushBatch(items: SlotArrays[Kind], from = 0, to = items.length): number {
    if (to <= from) return 0;
    const kernel = this.#kernel;
    const count =
      kernel === null
        ? mpmcClaimPush(this.#words, this.#line, to - from)
        : kernel.claimPush(this.#lineBytes, to - from);
    if (count === 0) return 0;
    const floats = this.#floats;
    if (floats === null) mpmcWriteInts(this.#words, this.#line, items as Int32Array, from);
    else mpmcWriteFloats(this.#words, floats, this.#line, items as Float64Array, from);
    if (kernel === null) mpmcPublish(this.#words, this.#line);
    else kernel.publish(this.#lineBytes);
    return count;
  }

  /**
   * Pops items into [from, to) of `into`: such as lie one behind the other, up to a hole at most.
   * Returns how many were popped.
   */
  popBatch(into: SlotArrays[Kind], from = 0, to = into.length): number {
    if (to <= from) return 0;
    const kernel = this.#kernel;
    const count =
      kernel === null
        ? mpmcClaimPop(this.#words, this.#line, to - from)
        : kernel.claimPop(this.#lineBytes, to - from);
    if (count === 0) return 0;
    const floats = this.#floats;
    if (floats === null) mpmcReadInts(this.#words, this.#line, into as Int32Array, from);
    else mpmcReadFloats(this.#words, floats, this.#line, into as Float64Array, from);
    if (kernel === null) mpmcRelease(this.#words, this.#line);
    else kernel.release(this.#lineBytes);
    return count;
  }

  /** Items in the ring, with those that other members are pushing or popping, and holes. */
  used(): number {
    return mpmcUsed(this.#words, this.handle.capacity);
  }

  /** Gives the place back. */
  close(): void {
    if (!isClosable(this.#words, this.#line + MEMBER_ROLE_WORD)) return;
    Atomics.store(this.#words, this.#line + MEMBER_KIND_WORD, NOTE_NONE);
    closeRole(this.#words, this.#line + MEMBER_ROLE_WORD);
  }
}
