/**
 * Stream acks: how far one TCP stream was taken, and how far it was acknowledged.
 *
 * WHY         No event tells of an ACK, so TCP is asked while something is on its way: at most
 *             every ACK_MS_MIN, rarer when nothing moves.
 * HOW         SIOCOUTQ: one number without the socket's lock, which stays true after a reset.
 * REFUSED     TCP_INFO (takes the lock, fills 250 bytes, counts the SYN); asking after each send.
 */
import { bytesUnacked } from '../../toolkit/sys/index.ts';

export const ACK_MS_MIN = 4;
export const ACK_MS_MAX = 128;

export class StreamAcks {
  /** Where nobody waits for acknowledgements they are only counted, and rarely asked for. */
  readonly #firstGapMs: number;
  #sentBytes = 0;
  #ackedBytes = 0;
  #gapMs: number;
  #dueMs = 0;

  constructor(isAwaited: boolean) {
    this.#firstGapMs = isAwaited ? ACK_MS_MIN : ACK_MS_MAX;
    this.#gapMs = this.#firstGapMs;
  }

  /** A new stream. */
  begin(): void {
    this.#sentBytes = 0;
    this.#ackedBytes = 0;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get ackedBytes(): number {
    return this.#ackedBytes;
  }

  get onTheWayBytes(): number {
    return this.#sentBytes - this.#ackedBytes;
  }

  /** When to ask; Infinity: nothing is on its way. */
  get dueMs(): number {
    return this.#ackedBytes === this.#sentBytes ? Number.POSITIVE_INFINITY : this.#dueMs;
  }

  /** The last one that asked has waited for as long as anybody does. */
  get isAtRarest(): boolean {
    return this.#gapMs === ACK_MS_MAX;
  }

  /** TCP took so many bytes. */
  took(bytes: number, nowMs: number): void {
    if (this.#ackedBytes === this.#sentBytes) {
      this.#gapMs = this.#firstGapMs;
      this.#dueMs = nowMs + this.#gapMs;
    }
    this.#sentBytes += bytes;
  }

  /** From now on somebody waits. */
  hurry(nowMs: number): void {
    this.#gapMs = ACK_MS_MIN;
    this.#dueMs = nowMs;
  }

  /**
   * Asks. Returns bytes newly acknowledged. Once the end of the stream is told it counts as one
   * byte more: what that hides shows when it is acknowledged too.
   */
  ask(fd: number, nowMs: number): number {
    const unacked = bytesUnacked(fd);
    const acked = unacked < 0 ? this.#ackedBytes : Math.max(0, this.#sentBytes - unacked);
    const newly = Math.max(0, acked - this.#ackedBytes);
    this.#ackedBytes += newly;
    this.#gapMs = newly > 0 ? this.#firstGapMs : Math.min(ACK_MS_MAX, 2 * this.#gapMs);
    this.#dueMs = nowMs + this.#gapMs;
    return newly;
  }
}
