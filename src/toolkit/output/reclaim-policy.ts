/**
 * Reclaim policy: says up to which byte of a stream nobody can read our pages any more.
 *
 * WHY         A page that was sent by reference belongs to the kernel (or to the receive queue of a
 *             peer on this machine) until it is proved that nobody will read it again. Each policy
 *             is one proof, written in the head of its file; where the proof does not hold, the
 *             policy must not be offered.
 * INVARIANTS  1. safeBytes never decreases  2. safeBytes(sent) <= sent  3. a byte below it is never
 *             read again from our memory by anybody, so it may be rewritten.
 */

export const RECLAIM_NAMES = [
  'immutable',
  'ackedBytes',
  'notification',
  'peerQueue',
  'applicationAck',
  'doubleBuffer',
] as const;

export type ReclaimName = (typeof RECLAIM_NAMES)[number];

export interface ReclaimPolicy {
  readonly name: ReclaimName;
  /** False: kept to compare and to warn; `auto` refuses it. */
  readonly isSafe: boolean;
  /**
   * Bytes of the stream, counted from where the writer started, that may be rewritten.
   * `sentBytes`: bytes that the socket has taken so far, counted in the same way.
   * It may cost a system call: ask when pages run short, not for every write.
   */
  safeBytes(sentBytes: number): number;
}
