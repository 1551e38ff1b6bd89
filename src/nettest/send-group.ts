/**
 * Send group: the connections that all get the same messages (one, or --fan-out many).
 *
 * INVARIANTS 1. a message is offered to every connection before the next one is made, so the
 *            slowest sets the pace and one page is held at a time
 *            2. it ends only behind a whole message, or when a connection is lost.
 */
import type { OutputWriter } from '../toolkit/output/output-writer.ts';
import { EAGAIN } from '../toolkit/sys/errno.ts';
import type { MessageCursor } from './message-feed.ts';

/** What held the last pump() up. */
export const WAITS_NOTHING = 0;
export const WAITS_SOCKET = 1;
export const WAITS_PAGE = 2;

/** A turn of one group ends behind so many bytes, so that others get theirs. */
const TURN_BYTES = 1024 * 1024;
/** A policy may cost a system call: asked once for so many bytes, and when no page is free. */
const RECLAIM_BYTES = 1024 * 1024;

export class SendGroup {
  readonly writers: readonly OutputWriter[];
  readonly #cursor: MessageCursor;
  readonly #messageBytes: number;
  /** Of the current message, what each connection has accepted. */
  readonly #accepted: Float64Array;
  #hasMessage = false;
  #unreclaimedBytes = 0;
  #sequence = 0;
  /** Messages to send; lowered to end earlier. */
  #last: number;
  /** Messages that all connections have accepted. */
  messageCount = 0;
  /** Times that no page was free. */
  pageWaitCount = 0;
  /** -errno of the connection that was lost, or 0. */
  failure = 0;
  waitsFor = WAITS_NOTHING;

  constructor(
    writers: readonly OutputWriter[],
    cursor: MessageCursor,
    messageBytes: number,
    packets: number,
  ) {
    this.writers = writers;
    this.#cursor = cursor;
    this.#messageBytes = messageBytes;
    this.#last = packets;
    this.#accepted = new Float64Array(writers.length);
  }

  /** Everything was accepted and has left our pipes, or the group has failed. */
  get isDone(): boolean {
    if (this.failure < 0) return true;
    if (this.#hasMessage || this.#sequence < this.#last) return false;
    return this.writers.every((writer) => writer.pendingBytes === 0);
  }

  /** No message after the current one. */
  stop(): void {
    this.#last = this.#sequence;
  }

  /** True while a message is under way: stopping now would cut it. */
  get isInsideMessage(): boolean {
    return this.#hasMessage || this.writers.some((writer) => writer.pendingBytes > 0);
  }

  /** Sends until nothing moves or the turn is over; returns the bytes accepted. */
  pump(): number {
    let moved = 0;
    this.waitsFor = WAITS_NOTHING;
    while (moved < TURN_BYTES && this.failure === 0) {
      if (!this.#hasMessage && !this.#nextMessage()) break;
      const bytes = this.#offer();
      moved += bytes;
      if (this.#hasMessage) break;
    }
    if (this.failure === 0) this.#flush();
    this.#reclaimAtTimes(moved);
    return moved;
  }

  /** Before pages run short, so that the same few are used again while caches hold them. */
  #reclaimAtTimes(moved: number): void {
    this.#unreclaimedBytes += moved;
    if (this.#unreclaimedBytes < RECLAIM_BYTES) return;
    this.#unreclaimedBytes = 0;
    for (const writer of this.writers) {
      if (writer.flightCount > 0) writer.reclaim();
    }
  }

  #nextMessage(): boolean {
    if (this.#sequence >= this.#last) return false;
    if (!this.#cursor.next(this.#sequence) && !this.#nextAfterReclaim()) {
      this.waitsFor = WAITS_PAGE;
      this.pageWaitCount++;
      return false;
    }
    this.#sequence++;
    this.#accepted.fill(0);
    this.#hasMessage = true;
    return true;
  }

  #nextAfterReclaim(): boolean {
    let count = 0;
    for (const writer of this.writers) {
      this.#flushOne(writer);
      count += writer.reclaim();
    }
    return count > 0 && this.#cursor.next(this.#sequence);
  }

  /** Offers what is left of the current message to every connection. */
  #offer(): number {
    const { source, offset } = this.#cursor;
    const length = this.#messageBytes;
    let moved = 0;
    let isWhole = true;
    for (let index = 0; index < this.writers.length; index++) {
      let accepted = this.#accepted[index]!;
      while (accepted < length) {
        const taken = this.writers[index]!.write(source, offset + accepted, length - accepted);
        if (taken <= 0) {
          if (taken !== -EAGAIN) this.failure = taken;
          this.waitsFor = WAITS_SOCKET;
          isWhole = false;
          break;
        }
        accepted += taken;
        moved += taken;
      }
      this.#accepted[index] = accepted;
    }
    if (!isWhole) return moved;
    this.#cursor.done();
    this.#hasMessage = false;
    this.messageCount++;
    return moved;
  }

  #flush(): void {
    for (const writer of this.writers) this.#flushOne(writer);
  }

  /** Also where nothing is pending: a writer may learn from it what a turn brings. */
  #flushOne(writer: OutputWriter): void {
    const left = writer.flush();
    if (left < 0) this.failure = left;
    else if (left > 0 && this.waitsFor === WAITS_NOTHING) this.waitsFor = WAITS_SOCKET;
  }
}
