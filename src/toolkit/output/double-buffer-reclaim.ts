/**
 * Reclaim policy `doubleBuffer`: a page is taken to be free when a ring's worth went out after it.
 *
 * NO PROOF    The rule of a well-known article (twice the output buffer) and of the nettest tools
 *             (256 KiB). It holds only for a peer on another machine, with SO_SNDBUF set explicitly
 *             and the ring at least twice the effective value: then at most SO_SNDBUF bytes are
 *             unacknowledged.
 * FAILS       On loopback, veth and UNIX sockets our pages lie in the receive queue of the peer,
 *             which holds megabytes: a reader that pauses reads what was written later. With a
 *             receive buffer of 8 MB and a ring of 512 KiB, 122 of 129 messages were corrupt.
 *             With an autotuned send buffer it fails remotely, too.
 * HENCE       isSafe is false; `auto` refuses it. Kept to compare, for the wire-compatible xmit,
 *             and as the test that the tests see corruption.
 */
import { assert } from '../base/assert.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';

/** What a tool prints when this policy is chosen. */
export const DOUBLE_BUFFER_WARNING =
  'doubleBuffer is not safe: a reader on this machine that pauses gets corrupt data';

export class DoubleBufferReclaim implements ReclaimPolicy {
  readonly name = 'doubleBuffer';
  readonly isSafe = false;
  readonly ringBytes: number;

  constructor(ringBytes: number) {
    assert(ringBytes >= 0, 'the rest of a ring is no less than nothing');
    this.ringBytes = ringBytes;
  }

  safeBytes(sentBytes: number): number {
    return Math.max(0, sentBytes - this.ringBytes);
  }
}
