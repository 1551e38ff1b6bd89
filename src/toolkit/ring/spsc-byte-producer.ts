/**
 * SpscByteProducer: the writing end of a SpscByteRing, where protocol and invariants stand.
 *
 * OWNERSHIP  One producer a ring, one thread. Between claim and commit the claimed bytes are its
 *            own.
 * PROGRESS   every method is wait-free.
 */
import { assert } from '../base/assert.ts';
import { chooseBackend } from './backend.ts';
import { copyBytes } from './copy-items.ts';
import {
  claimRole,
  closeRole,
  isClosable,
  isRoleGone,
  type RoleState,
  roleState,
} from './roles.ts';
import { messageBytes, spscClaimMessage, spscCommitMessage } from './spsc-byte-kernel.ts';
import type { SpscByteRingHandle } from './spsc-byte-ring.ts';
import { NO_SLOT } from './spsc-handle.ts';
import { spscPublish } from './spsc-kernel.ts';
import {
  MESSAGE_HEADER_BYTES,
  MESSAGE_LENGTH_WORD,
  MESSAGE_TYPE_WORD,
  SPSC_CONSUMER_WORD,
  SPSC_CONTROL_BYTES,
  SPSC_NEXT_WRITE_WORD,
  SPSC_PRODUCER_WORD,
  SPSC_READ_WORD,
  SPSC_SLOTS_WORD,
} from './spsc-layout.ts';
import { SPSC_WAT, type SpscCommit, type SpscKernel } from './spsc-wasm.ts';
import { loadKernel } from './wasm/kernels.ts';

const NO_CLAIM = -1;

export class SpscByteProducer {
  readonly handle: SpscByteRingHandle;
  /** All messages; written between claim and commit, at the offset that claim returned. */
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
  /** The longest message. */
  readonly messageBytesMax: number;
  readonly #words: Int32Array;
  readonly #ints: Int32Array;
  /** spscCommit in WebAssembly, where it is chosen: publishing is what a message costs. */
  readonly #commit: SpscCommit | null;
  #at = 0;
  #claimed = NO_CLAIM;

  /** Takes the role; see SpscByteRing.producer. */
  constructor(handle: SpscByteRingHandle) {
    const { memory, capacityBytes } = handle;
    const words = new Int32Array(memory.buffer, 0, SPSC_SLOTS_WORD);
    claimRole(words, SPSC_PRODUCER_WORD);
    this.handle = handle;
    this.bytes = new Uint8Array(memory.buffer, SPSC_CONTROL_BYTES, capacityBytes);
    this.view = new DataView(memory.buffer, SPSC_CONTROL_BYTES, capacityBytes);
    this.messageBytesMax = capacityBytes / 2 - MESSAGE_HEADER_BYTES;
    this.#words = words;
    this.#ints = new Int32Array(memory.buffer, SPSC_CONTROL_BYTES, capacityBytes / 4);
    const isWasm = chooseBackend(handle.backend, 'wasm', memory) === 'wasm';
    this.#commit = isWasm ? loadKernel<SpscKernel>(SPSC_WAT, memory).commit : null;
    // What a producer before this one had committed and not published.
    spscPublish(words);
  }

  /** Pushes the bytes [from, to) of `message`. False: there is no room. */
  tryPush(message: Uint8Array, from = 0, to = message.length, type = 0): boolean {
    const length = to - from;
    const offset = this.claim(length);
    if (offset === NO_SLOT) return false;
    copyBytes(this.bytes, offset, message, from, length);
    this.commit(length, type);
    return true;
  }

  /**
   * Reserves `length` bytes in one piece, at the returned offset of `bytes`, a multiple of 8.
   * NO_SLOT: there is no room. A claim without commit shows nothing; the next one replaces it.
   */
  claim(length: number): number {
    assert(length >= 0 && length <= this.messageBytesMax, 'a message is half of the ring at most');
    const at = spscClaimMessage(this.#words, this.#ints, length);
    if (at < 0) {
      this.#claimed = NO_CLAIM;
      return NO_SLOT;
    }
    this.#at = at;
    this.#claimed = length;
    return at + MESSAGE_HEADER_BYTES;
  }

  /** As claim, with a view of the bytes (no copy); null when there is no room. */
  claimView(length: number): Uint8Array | null {
    const offset = this.claim(length);
    return offset === NO_SLOT ? null : this.bytes.subarray(offset, offset + length);
  }

  /** The first `length` claimed bytes are a message of `type`; the claim ends. */
  commit(length = this.#claimed, type = 0): void {
    assert(length >= 0 && length <= this.#claimed, 'no more is committed than was claimed');
    this.#claimed = NO_CLAIM;
    const commit = this.#commit;
    if (commit === null) {
      spscCommitMessage(this.#words, this.#ints, this.#at, length, type);
      return;
    }
    const header = this.#at >> 2;
    this.#ints[header + MESSAGE_LENGTH_WORD] = length;
    this.#ints[header + MESSAGE_TYPE_WORD] = type;
    commit(messageBytes(length));
  }

  /** The claim ends and nothing was written. */
  abort(): void {
    this.#claimed = NO_CLAIM;
  }

  /** Publishes what is committed (publishEveryBytes > 1). False: there was nothing. */
  flush(): boolean {
    return spscPublish(this.#words);
  }

  /** Bytes that the consumer has not given back, the unpublished ones too. */
  usedBytes(): number {
    const words = this.#words;
    return (words[SPSC_NEXT_WRITE_WORD]! - Atomics.load(words, SPSC_READ_WORD)) | 0;
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
    this.#claimed = NO_CLAIM;
    spscPublish(this.#words);
    closeRole(this.#words, SPSC_PRODUCER_WORD);
  }
}
