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
