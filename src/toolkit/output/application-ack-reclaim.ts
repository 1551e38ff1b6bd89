/**
 * Reclaim policy `applicationAck`: the peer says which bytes it has consumed.
 *
 * PROOF       The peer acknowledges a byte after it has copied it, or needs it no more. TCP and
 *             UNIX streams deliver in order, so what it has consumed was delivered and
 *             acknowledged; a late duplicate of the network carries acknowledged bytes and is
 *             discarded.
 * HOLDS       in every topology, if the end consumer acknowledges: a proxy or a peer that splices
 *             onward must pass on the acknowledgement of who reads the bytes in the end.
 *             On UDP a byte also counts as consumed when the application knows that it was lost.
 * TRUST       The proof is the peer's word. One that acknowledges what it has not read gets bytes
 *             of whatever fills the page next: not for peers that must not see them.
 */
import type { ReclaimPolicy } from './reclaim-policy.ts';

export class ApplicationAckReclaim implements ReclaimPolicy {
  readonly name = 'applicationAck';
  readonly isSafe = true;
  #consumedBytes = 0;

  /** The peer has consumed `bytes` of the stream in all, counted from the writer's first byte. */
  acknowledge(bytes: number): void {
    if (bytes > this.#consumedBytes) this.#consumedBytes = bytes;
  }

  safeBytes(sentBytes: number): number {
    return Math.min(this.#consumedBytes, sentBytes);
  }
}

/**
 * The part of an acknowledged stream that one of several writers sends.
 *
 * PROOF       The peer has consumed the first N bytes of the stream. Of these, other writers sent
 *             at most what they sent in all, C; so at least N - C of them are ours, and as both go
 *             out in order, our first N - C are consumed.
 */
export class SharedAckReclaim implements ReclaimPolicy {
  readonly name = 'applicationAck';
  readonly isSafe = true;
  readonly #stream: ReclaimPolicy;
  readonly #otherBytes: () => number;
  #safeBytes = 0;

  /** `otherBytes`: what went out another way on the same stream, in all. */
  constructor(stream: ReclaimPolicy, otherBytes: () => number) {
    this.#stream = stream;
    this.#otherBytes = otherBytes;
  }

  safeBytes(sentBytes: number): number {
    const other = this.#otherBytes();
    const safe = this.#stream.safeBytes(sentBytes + other) - other;
    this.#safeBytes = Math.max(this.#safeBytes, safe);
    return this.#safeBytes;
  }
}
