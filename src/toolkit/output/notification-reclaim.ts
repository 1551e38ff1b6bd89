/**
 * Reclaim policy `notification`: the kernel says which send calls it is done with.
 *
 * WHY         MSG_ZEROCOPY and io_uring SEND_ZC report the end of every call. This is the ledger:
 *             which bytes of the stream a call carried, which calls are done.
 * PROOF       The kernel reports a call when the last reference to its pages is gone. To a local
 *             receiver it never hands our pages at all: it copies them first, and reports that. So
 *             it holds for every peer and every device. Calls end out of order (a segment that is
 *             sent again, a socket that is torn down): safe is what lies before the oldest call
 *             that is not done; when none is open, all that was sent, since bytes outside a call
 *             were copied.
 * FAILS       Where calls are counted wrongly: MSG_ZEROCOPY names them by a counter of the socket
 *             (u32, from 0, one per successful call, not per byte), so nobody else may send with
 *             that flag on the same socket.
 * LAYOUT      A ring of starts (stream position) and done flags, by call & mask; open are
 *             firstOpen..next-1, compared as (a - b) | 0.
 * INVARIANTS  1. a notice about calls that are not open changes nothing: late, twice or never made
 *             2. the ring is bounded: when it is full, add() is refused and the caller copies.
 * Source: Documentation/networking/msg_zerocopy.rst.
 */
import { assert } from '../base/assert.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';

/** Room at first; a connection to a near peer has few open calls. A power of two. */
const CALLS_AT_FIRST = 16;
/** Beyond, a connection is so far behind that copying costs it nothing. A power of two. */
export const OPEN_CALLS_MAX = 65_536;

export class NotificationReclaim implements ReclaimPolicy {
  readonly name = 'notification';
  readonly isSafe = true;
  #starts = new Float64Array(CALLS_AT_FIRST);
  #done = new Uint8Array(CALLS_AT_FIRST);
  /** Both u32 that wrap. */
  #firstOpen: number;
  #next: number;
  #copiedInRow = 0;
  #copiedCount = 0;

  /** `firstCall`: the number (u32) that the kernel will give to the next call. */
  constructor(firstCall = 0) {
    this.#firstOpen = firstCall >>> 0;
    this.#next = this.#firstOpen;
  }

  /** Calls that are not known to be done, or wait for an older one. */
  get openCount(): number {
    return (this.#next - this.#firstOpen) >>> 0;
  }

  /** Calls in a row, up to the last notice, whose bytes the kernel copied after all. */
  get copiedInRow(): number {
    return this.#copiedInRow;
  }

  /** Calls whose bytes the kernel copied after all. */
  get copiedCount(): number {
    return this.#copiedCount;
  }

  /** Whether add() has room, which it makes here. */
  hasRoom(): boolean {
    return this.openCount < this.#starts.length || this.#grow();
  }

  /** A call whose bytes start at `start` of the stream; returns its number. Needs hasRoom(). */
  add(start: number): number {
    assert(this.openCount < this.#starts.length, 'a call is added where there is room');
    const call = this.#next;
    const index = call & (this.#starts.length - 1);
    this.#starts[index] = start;
    this.#done[index] = 0;
    this.#next = (call + 1) >>> 0;
    return call;
  }

  /** Calls `low`..`high`, u32 or int32, both included, are done. Returns how many were news. */
  complete(low: number, high: number, isCopied: boolean): number {
    const from = Math.max((low - this.#firstOpen) | 0, 0);
    const to = Math.min((high - this.#firstOpen) | 0, this.openCount - 1);
    const mask = this.#starts.length - 1;
    let news = 0;
    for (let step = from; step <= to; step += 1) {
      const index = (this.#firstOpen + step) & mask;
      news += 1 - this.#done[index]!;
      this.#done[index] = 1;
    }
    if (news === 0) return 0;
    this.#copiedInRow = isCopied ? this.#copiedInRow + news : 0;
    if (isCopied) this.#copiedCount += news;
    while (this.#firstOpen !== this.#next && this.#done[this.#firstOpen & mask] === 1) {
      this.#firstOpen = (this.#firstOpen + 1) >>> 0;
    }
    return news;
  }

  /** The call that add() has just made took no byte: there is nothing to wait for. */
  cancel(call: number): void {
    assert((call + 1) >>> 0 === this.#next, 'only the newest call is taken back');
    if (((call - this.#firstOpen) | 0) < 0) return;
    this.#next = call;
  }

  safeBytes(sentBytes: number): number {
    if (this.#firstOpen === this.#next) return sentBytes;
    return this.#starts[this.#firstOpen & (this.#starts.length - 1)]!;
  }

  /** Twice the room; false at the bound. */
  #grow(): boolean {
    const room = this.#starts.length;
    if (room === OPEN_CALLS_MAX) return false;
    const starts = new Float64Array(room * 2);
    const done = new Uint8Array(room * 2);
    for (let call = this.#firstOpen; call !== this.#next; call = (call + 1) >>> 0) {
      starts[call & (room * 2 - 1)] = this.#starts[call & (room - 1)]!;
      done[call & (room * 2 - 1)] = this.#done[call & (room - 1)]!;
    }
    this.#starts = starts;
    this.#done = done;
    return true;
  }
}
