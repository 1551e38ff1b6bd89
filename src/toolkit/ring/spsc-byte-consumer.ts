/**
 * SpscByteConsumer: the reading end of a SpscByteRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One consumer a ring, one thread. Between peek and release the peeked message is its
 *            own.
 * PROGRESS   every method is wait-free, but for what the callback of popBatch does.
 */
import { assert } from '../base/assert.ts';
import { copyBytes } from './copy-items.ts';
import {
  claimRole,
  closeRole,
  isClosable,
  isRoleGone,
  type RoleState,
  roleState,
} from './roles.ts';
import { messageBytes, spscPeekMessage } from './spsc-byte-kernel.ts';
import type { SpscByteRingHandle } from './spsc-byte-ring.ts';
import { NO_SLOT } from './spsc-handle.ts';
import { spscCredit, spscRelease } from './spsc-kernel.ts';
import {
  MESSAGE_HEADER_BYTES,
  MESSAGE_LENGTH_WORD,
  MESSAGE_TYPE_WORD,
  SPSC_CONSUMER_WORD,
  SPSC_CONTROL_BYTES,
  SPSC_NEXT_READ_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_SLOTS_WORD,
  SPSC_WRITE_WORD,
} from './spsc-layout.ts';

const NO_MESSAGE = -1;

/** Sees one message, in `bytes` at `offset`, until it returns. */
export type MessageHandler = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  type: number,
) => void;

export class SpscByteConsumer {
  readonly handle: SpscByteRingHandle;
  /** All messages; read between peek and release, at the offset that peek returned. */
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
  readonly #words: Int32Array;
  readonly #ints: Int32Array;
  #length = NO_MESSAGE;
  #type = 0;

  /** Takes the role; see SpscByteRing.consumer. */
  constructor(handle: SpscByteRingHandle) {
    const { memory, capacityBytes } = handle;
    const words = new Int32Array(memory.buffer, 0, SPSC_SLOTS_WORD);
    claimRole(words, SPSC_CONSUMER_WORD);
    this.handle = handle;
    this.bytes = new Uint8Array(memory.buffer, SPSC_CONTROL_BYTES, capacityBytes);
    this.view = new DataView(memory.buffer, SPSC_CONTROL_BYTES, capacityBytes);
    this.#words = words;
    this.#ints = new Int32Array(memory.buffer, SPSC_CONTROL_BYTES, capacityBytes / 4);
    // What a consumer before this one had read and not given back.
    spscCredit(words);
  }

  /** Bytes of the peeked message; -1 when there is none. */
  get length(): number {
    return this.#length;
  }

  /** Type of the peeked message. */
  get type(): number {
    return this.#type;
  }

  /**
   * Looks at the next message: `length` bytes of `type`, at the returned offset of `bytes`, a
   * multiple of 8. NO_SLOT: there is none. A peek gives nothing back and may be repeated.
   */
  peek(): number {
    const at = spscPeekMessage(this.#words, this.#ints);
    if (at < 0) {
      this.#length = NO_MESSAGE;
      return NO_SLOT;
    }
    const header = at >> 2;
    this.#length = this.#ints[header + MESSAGE_LENGTH_WORD]!;
    this.#type = this.#ints[header + MESSAGE_TYPE_WORD]!;
    return at + MESSAGE_HEADER_BYTES;
  }

  /** As peek, with a view of the bytes (no copy); null when there is no message. */
  peekView(): Uint8Array | null {
    const offset = this.peek();
    return offset === NO_SLOT ? null : this.bytes.subarray(offset, offset + this.#length);
  }

  /** The peeked message is done with. */
  release(): void {
    const length = this.#length;
    assert(length !== NO_MESSAGE, 'a message is peeked before it is released');
    this.#length = NO_MESSAGE;
    spscRelease(this.#words, messageBytes(length));
  }

  /**
   * Pops the next message into `into` at `at`, which has room for the longest that comes. Returns
   * its length, or -1 when there is none; `type` is its type.
   */
  tryPop(into: Uint8Array, at = 0): number {
    const offset = this.peek();
    if (offset === NO_SLOT) return NO_MESSAGE;
    const length = this.#length;
    assert(length <= into.length - at, 'the array has room for the message');
    copyBytes(into, at, this.bytes, offset, length);
    this.release();
    return length;
  }

  /**
   * Shows up to `limit` messages to `handler`, one after the other, and releases each when it
   * returns. One that throws has not released its message. Returns how many.
   */
  popBatch(limit: number, handler: MessageHandler): number {
    for (let count = 0; count < limit; count++) {
      const offset = this.peek();
      if (offset === NO_SLOT) return count;
      handler(this.bytes, offset, this.#length, this.#type);
      this.release();
    }
    return limit;
  }

  /** Gives back what is read (creditEveryBytes > 1). False: there was nothing. */
  flush(): boolean {
    return spscCredit(this.#words);
  }

  /** Nothing is published that was not released; padding counts as something. */
  isEmpty(): boolean {
    const words = this.#words;
    return Atomics.load(words, SPSC_WRITE_WORD) === words[SPSC_NEXT_READ_WORD]!;
  }

  peerState(): RoleState {
    return roleState(this.#words, SPSC_PRODUCER_WORD);
  }

  /** As SpscConsumer.isPeerGone: look at this first, then read until there is no message. */
  isPeerGone(): boolean {
    return isRoleGone(this.#words, SPSC_PRODUCER_WORD);
  }

  /** Gives the role back, and all that was read. */
  close(): void {
    if (!isClosable(this.#words, SPSC_CONSUMER_WORD)) return;
    this.#length = NO_MESSAGE;
    spscCredit(this.#words);
    closeRole(this.#words, SPSC_CONSUMER_WORD);
  }
}
